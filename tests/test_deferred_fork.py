"""Forks with work deferred: each callback runs once in the parent, and once in the child."""

import collections
import os

import pytest

from processes import FORKS, starts_threads_in_a_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    starts_threads_in_a_child,
]

BEGIN = """
import os, sys, threading, rcu

domain = rcu.Domain()
log = os.open(os.environ["RCU_TEST_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(*words):
    os.write(log, (" ".join(map(str, (os.getpid(), *words))) + "\\n").encode())

in_child = start_child

def finish():
    domain.barrier(30)
    stats = domain.stats()
    assert (stats.pending, stats.callbacks_failed) == (0, 0), stats

class Holder:
    def __init__(self):
        self.entered, self.leave = threading.Event(), threading.Event()
        self.worker = threading.Thread(target=self.work, daemon=True)
        self.worker.start()
        self.entered.wait()
    def work(self):
        with domain:
            self.entered.set()
            self.leave.wait()
    def release(self):
        self.leave.set()
        self.worker.join()
"""


@pytest.fixture
def notes(script, tmp_path):
    """Runs a script; returns how often each process noted each word."""

    def run(code):
        path = tmp_path / "log"
        path.unlink(missing_ok=True)
        script(FORKS + BEGIN + code, RCU_TEST_LOG=str(path))
        found = collections.defaultdict(collections.Counter)
        for line in path.read_text().splitlines():
            pid, word = line.split()
            found[pid][word] += 1
        return [dict(counts) for counts in found.values()]

    return run


def once(*words):
    return dict.fromkeys(map(str, words), 1)


@pytest.mark.parametrize("kind", ["calls", "references", "threads"])
def test_what_a_reader_holds_up(notes, kind):
    """In the child, where the reader is not, it runs at once; in the parent, when the reader has left."""
    work = {
        "calls": "for i in range(300): domain.call(note, i)",
        "references": """
class Dying:
    def __init__(self, i): self.i = i
    def __del__(self): note(self.i)
for i in range(300): domain.retire(Dying(i))
""",
        "threads": """
def work(k):
    for i in range(100):
        domain.call(note, 100 * k + i)
threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
[t.start() for t in threads], [t.join() for t in threads]
""",
    }[kind]
    found = notes(
        f"""
holder = Holder()
{work}
assert domain.stats().pending == 300
pid = in_child(finish)
joined(pid)
assert domain.stats().pending == 300
holder.release()
finish()
"""
    )
    assert found == [once(*range(300))] * 2


def test_without_being_asked_for(notes):
    """The child's reclaimer starts by itself."""
    found = notes(
        """
holder = Holder()
ran = threading.Event()
domain.call(note, "ran")
domain.call(ran.set)
joined(in_child(ran.wait))
holder.release()
finish()
"""
    )
    assert found == [once("ran")] * 2


def test_a_fork_in_a_section(notes):
    """The forking thread's section is in the child, too, and holds its callbacks up until it ends there."""
    found = notes(
        """
domain.read_lock()
domain.call(note, "ran")
def check():
    assert domain.stats().pending == 1
    note("section")
    domain.read_unlock()
    finish()
joined(in_child(check))
assert domain.stats().pending == 1
note("section")
domain.read_unlock()
finish()
"""
    )
    assert found == [once("section", "ran")] * 2


def test_threads_in_the_midst_of_calls(notes):
    """Other threads call on while this one forks: what each child ran is, of each thread, all from its first on."""
    found = notes(
        """
done = threading.Event()
# To each thread a list of its own: the lock of one that threads contend for may be held, in a child, by none.
counts = [[0] for _ in range(3)]
def work(k, count):
    while not done.is_set():
        domain.call(run, k, count[0])
        count[0] += 1
ran = [0] * 3
def run(k, i):
    assert ran[k] == i, (k, i, ran)
    ran[k] += 1
threads = [threading.Thread(target=work, args=(k, counts[k])) for k in range(3)]
[t.start() for t in threads]
def check():
    finish()
    for k, (count,) in enumerate(counts):
        assert ran[k] in (count, count + 1), (k, ran, counts)
    note("child")
for _ in range(50):
    joined(in_child(check))
done.set()
[t.join() for t in threads]
finish()
assert ran == [count for (count,) in counts]
note("parent")
"""
    )
    assert found.count(once("child")) == 50
    assert found.count(once("parent")) == 1
    assert len(found) == 51


def test_in_the_midst_of_a_batch(notes):
    """A callback runs when the fork begins: the fork waits for it, and in the child what had not begun goes on."""
    found = notes(
        """
begun = threading.Event()
forks = threading.Event()
os.register_at_fork(before=forks.set)  # called before ours, which was registered first
def slow():
    begun.set()
    forks.wait(30)
    note("slow")
holder = Holder()
domain.call(note, "before")
domain.call(slow)
for i in range(200):
    domain.call(note, i)
holder.release()
begun.wait()
pid = in_child(finish)
joined(pid)
finish()
"""
    )
    # Between the two, the reclaimer may go on for a while.
    *child, parent = sorted(found, key=len)
    assert parent == once("before", "slow", *range(200))
    assert child in [[], *([once(*range(begun, 200))] for begun in range(200))]


def test_a_callback_that_does_not_end(notes):
    """The fork does not wait for it for ever. It goes on in the parent alone; what comes after it runs in both."""
    found = notes(
        """
begun, end = threading.Event(), threading.Event()
def blocked():
    note("begins")
    begun.set()
    end.wait()
    note("ends")
holder = Holder()
domain.call(blocked)
for i in range(200):
    domain.call(note, i)
holder.release()
begun.wait()
joined(in_child(finish))
end.set()
finish()
"""
    )
    assert sorted(found, key=len) == [once(*range(200)), once("begins", "ends", *range(200))]


# ---- forks by callbacks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["domain.barrier(); os._exit(0)", "return"])
def test_a_callback_that_forks(notes, end):
    """The child goes on behind it, whether it returns or not: on a thread of its own, which ends when all has run."""
    found = notes(
        f"""
pids = []
def fork():
    pid = os.fork()
    if pid == 0:
        note("child")
        {end}
    pids.append(pid)
holder = Holder()
domain.call(note, "before")
domain.call(fork)
for i in range(200):
    domain.call(note, i)
holder.release()
finish()
joined(*pids)
"""
    )
    assert sorted(found, key=lambda it: "before" in it) == [once("child", *range(200)), once("before", *range(200))]


def test_a_callback_whose_child_defers_more(notes):
    found = notes(
        """
pids = []
def fork():
    pid = os.fork()
    if pid == 0:
        domain.call(note, "again")
        other.call(note, "other")
        ended = threading.Event()
        def work():
            domain.call(note, "thread")
            os._exit(0 if domain.barrier(30) is None and other.barrier(30) is None else 1)
        threading.Thread(target=work).start()
        return
    pids.append(pid)
other = rcu.Domain()
domain.call(fork)
finish()
joined(*pids)
"""
    )
    assert found == [once("again", "other", "thread")]


def test_a_fork_by_a_thread_of_a_callbacks_child(notes):
    """In the grandchild nobody is the reclaimer: a new one starts by itself."""
    found = notes(
        """
pids = []
def thread():
    holder = Holder()
    ran = threading.Event()
    domain.call(note, "ran")
    domain.call(ran.set)
    joined(in_child(ran.wait))
    holder.release()
    finish()
    os._exit(0)
def fork():
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=thread).start()
        return
    pids.append(pid)
domain.call(fork)
finish()
joined(*pids)
"""
    )
    assert found == [once("ran")] * 2


# ---- many forks ----------------------------------------------------------------------------------------------------


def test_nested_forks(notes):
    found = notes(
        """
def descend(depth):
    holder = Holder()
    for i in range(50):
        domain.call(note, f"{depth}-{i}")
    if depth < 4:
        joined(in_child(lambda: descend(depth + 1)))
    holder.release()
    finish()
descend(0)
"""
    )
    # What its parent's reader holds up runs in a child at once; the grandchild has of it what had not begun by then.
    assert len(found) == 5
    for depth, counts in enumerate(sorted(found, key=lambda it: max(it))):
        for level in range(5):
            numbers = sorted(int(word[2:]) for word in counts if word.startswith(f"{level}-"))
            assert numbers == list(range(50 - len(numbers), 50))
            assert len(numbers) == 50 if level in (depth, depth - 1) else depth > level or not numbers
        assert set(counts.values()) == {1}


def test_forks_by_many_threads_under_load(notes):
    """Each child has all that its parent had deferred, and runs it; the children of one fork know of no other."""
    found = notes(
        """
done = threading.Event()
def load(other):
    while not done.is_set():
        for _ in range(50):
            other.call(int)
            other.retire([])
        with other:
            pass
        other.barrier(30)
loads = [threading.Thread(target=load, args=(d,)) for d in (domain, rcu.Domain())]
[t.start() for t in loads]
def work(k):
    for i in range(15):
        mine = rcu.Domain()
        for j in range(20):
            mine.call(note, f"{k}-{i}-{j}")
        def check():
            mine.barrier(30)
            domain.barrier(30)
            note(f"child-{k}-{i}")
        pid = in_child(check)
        mine.barrier(30)
        joined(pid)
threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
[t.start() for t in threads], [t.join() for t in threads]
done.set()
[t.join() for t in loads]
finish()
"""
    )
    parents = [it for it in found if not any("child" in word for word in it)]
    assert parents == [once(*(f"{k}-{i}-{j}" for k in range(3) for i in range(15) for j in range(20)))]
    assert len(found) == 46
    for counts in found:
        assert set(counts.values()) == {1}
    assert sorted(word for it in found for word in it if "child" in word) == sorted(
        f"child-{k}-{i}" for k in range(3) for i in range(15)
    )


def test_multiprocessing(notes):
    """Its children end in a way of their own, and forget what was registered for the end."""
    found = notes(
        """
import multiprocessing
context = multiprocessing.get_context("fork")
holder = Holder()
domain.call(note, "both")
process = context.Process(target=lambda: domain.call(note, "child"))
process.start()
process.join()
assert process.exitcode == 0
holder.release()
finish()
"""
    )
    assert sorted(found, key=len) == [once("both"), once("both", "child")]


def test_a_fork_without_python(notes):
    """A raw fork, as a C library may do one: what was deferred runs once someone asks for it."""
    found = notes(
        """
import ctypes
holder = Holder()
for i in range(200):
    domain.call(note, i)
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    try:
        finish()
    except BaseException:
        os._exit(1)
    os._exit(0)
joined(pid)
holder.release()
finish()
"""
    )
    assert found == [once(*range(200))] * 2
