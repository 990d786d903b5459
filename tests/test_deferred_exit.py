"""The end of the program: what is deferred has run before modules are torn down, or a record says that it has not."""

import os

import pytest

import processes

# Each script ends many times: what a race may do, it does now and then.
TIMES = 10

HELD_BY_DAEMON = """
import logging, os, sys, threading, rcu

logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
domain = rcu.Domain()
entered = threading.Event()

def hold():
    with domain:
        entered.set()
        threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
entered.wait()
"""


def ends(script, code, out, times=TIMES):
    """Runs it several times: each ends with code 0, prints that, and nothing else."""
    for _ in range(times):
        done = script(code, check=False)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", out)


def test_modules_are_there(script):
    ends(
        script,
        """
import json, sys, rcu
value = [1]
def use():
    assert sys.modules["json"] is json and not sys.is_finalizing()
    print(json.dumps(value))
rcu.call(use)
rcu.retire([])
""",
        "[1]\n",
    )


def test_many_in_several_domains(script):
    ends(
        script,
        """
import rcu
ran = []
domains = [rcu.Domain() for _ in range(20)]
def tell():
    print(len(ran), sorted(ran) == sorted([*range(500)] * 20))
def hand_on(k):
    if k < 20:
        domains[k].call(hand_on, k + 1)
    else:
        rcu.call(tell)
for i in range(500):
    for domain in domains:
        domain.call(ran.append, i)
hand_on(0)
""",
        "10000 True\n",
    )


def test_domains_that_were_dropped(script):
    ends(
        script,
        """
import gc, rcu
ran = []
class Last:
    def __del__(self):
        print(len(ran))
last = Last()
for i in range(50):
    domain = rcu.Domain()
    domain.call(ran.append, i)
    domain.call(lambda last: None, last)
del domain, last
gc.collect()
""",
        "50\n",
    )


def test_callbacks_that_enqueue(script):
    ends(
        script,
        """
import rcu
def again(n):
    rcu.call(again, n - 1) if n else print("last")
rcu.call(again, 300)
""",
        "last\n",
    )


def test_callbacks_that_raise(script):
    done = script("import rcu\nfor i in range(3): rcu.call(int, str('x') * 2)\nrcu.call(print, 'last')\n", check=False)
    assert (done.returncode, done.stdout) == (0, "last\n")
    assert done.stderr.count("ValueError: invalid literal") == 3


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(3)", 3),
        ("raise ZeroDivisionError", 1),
        ("threading.Thread(target=sys.exit, args=(3,)).start()", 0),
        ("os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)", 5),
        ("threading.Timer(0, lambda: rcu.call(print, 'timer')).start()", 0),
    ],
)
def test_however_the_program_ends(script, end, code):
    for _ in range(3):
        done = script(
            f"""
import os, signal, sys, threading, rcu
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
rcu.call(print, "ran")
{end}
""",
            check=False,
        )
        assert done.returncode == code
        assert "ran\n" in done.stdout
        assert ("timer\n" in done.stdout) == ("Timer" in end)
        assert done.stderr == "" or ("Traceback" in done.stderr.splitlines()[0] and "ZeroDivisionError" in end)


# ---- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["0.2", "0"])
def test_a_reader_that_does_not_leave(script, limit):
    done = script(
        HELD_BY_DAEMON
        + f"""
rcu.set_exit_timeout({limit})
for i in range(3):
    domain.call(print, "never")
other = rcu.Domain()
other.call(print, "other")
other.barrier()
""",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "other\n")
    (line,) = done.stderr.splitlines()
    assert f"waited for {limit} s, and 3 callback(s) have not even begun: " in line


def test_a_callback_that_does_not_end(script):
    done = script(
        """
import logging, threading, rcu
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
rcu.set_exit_timeout(0.2)
begun = threading.Event()
def block():
    begun.set()
    threading.Event().wait()
rcu.call(block)
rcu.call(print, "never")
begun.wait()
""",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 callback(s) have not even begun" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_limit(script):
    """Waits as long as it takes: until the callback, a while later, lets the reader go."""
    ends(
        script,
        """
import threading, rcu
rcu.set_exit_timeout(None)
domain, other = rcu.Domain(), rcu.Domain()
entered, leave = threading.Event(), threading.Event()
def hold():
    with domain:
        entered.set()
        leave.wait()
threading.Thread(target=hold, daemon=True).start()
entered.wait()
domain.call(print, "ran")
def release(n):
    other.call(release, n - 1) if n else leave.set()
release(100)
""",
        "ran\n",
        times=3,
    )


@pytest.mark.parametrize("limit", ["-1", "float('nan')", "'1'", "[]"])
def test_bad_limits(script, limit):
    out = script(
        f"""
import rcu
try:
    rcu.set_exit_timeout({limit})
except (TypeError, ValueError) as error:
    print(error)
"""
    )
    assert "seconds" in out


# ---- deferring at the end -------------------------------------------------------------------------------------------


def test_functions_for_the_exit(script):
    """Those registered after rcu was imported run before it looks; what the others defer may run or not."""
    for _ in range(TIMES):
        done = script(
            """
import atexit
atexit.register(lambda: rcu.call(int))
import rcu
atexit.register(lambda: rcu.call(print, "after"))
""",
            check=False,
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "after\n")


def test_barriers_at_the_exit(script):
    """Even after rcu has looked, its domains work."""
    ends(
        script,
        """
import atexit
def late():
    rcu.call(print, "late")
    rcu.barrier(30)
    rcu.synchronize(30)
atexit.register(late)
import rcu
""",
        "late\n",
    )


def test_the_teardown_of_modules(script):
    """What is deferred when Python is gone for the reclaimer does no harm."""
    ends(
        script,
        """
import rcu
class Late:
    def __init__(self, domain):
        self.domain = domain
    def __del__(self, call=rcu.call):
        call(int)
        self.domain.call(int)
        self.domain.retire([])
        with self.domain:
            self.domain.call(int)
late = [Late(rcu.Domain()) for _ in range(20)]
late.append(late)
keep = Late(rcu.Domain())
rcu.call(int)
""",
        "",
    )


@pytest.mark.parametrize("work", ["domain.call(int)", "domain.retire([])", "domain.call(domain.call, int)"])
def test_daemon_threads_that_defer_on_and_on(script, work):
    """The program ends in the midst of it, within its limit."""
    for _ in range(TIMES):
        done = script(
            f"""
import logging, threading, rcu
logging.getLogger("rcu").setLevel(logging.CRITICAL)
rcu.set_exit_timeout(0.05)
domain = rcu.Domain(backlog_limit=1000)
begun = threading.Event()
def work():
    while True:
        {work}
        begun.set()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
""",
            check=False,
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_daemon_threads_that_wait(script):
    """In every kind of wait there is, when the program ends."""
    for _ in range(TIMES):
        done = script(
            HELD_BY_DAEMON
            + """
logging.getLogger("rcu").setLevel(logging.CRITICAL)
rcu.set_exit_timeout(0.05)
domain.backlog_limit = 1
domain.call(int)
def fill():
    while True:
        domain.call(int)
for wait in (domain.barrier, domain.synchronize, fill, fill):
    threading.Thread(target=wait, daemon=True).start()
""",
            check=False,
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_waits_as_well():
    code = """
import os, sys, rcu
domain = rcu.Domain()
domain.read_lock()
domain.call(lambda: os.write(1, b"ran\\n"))
pid = os.fork()
domain.read_unlock()
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    for _ in range(TIMES):
        done = processes.run(*processes.PYTHON, "-W", "ignore::DeprecationWarning", "-c", code)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "ran\nran\n")


def test_an_end_without_finalization():
    """os._exit() asks nobody."""
    done = processes.run(*processes.PYTHON, "-c", "import os, rcu\nrcu.call(int)\nos._exit(0)")
    assert (done.returncode, done.stderr) == (0, "")
