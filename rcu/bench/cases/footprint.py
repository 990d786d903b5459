"""What a thread that reads in a domain costs in memory, by what the C library's heap grows."""

import functools
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from rcu import Domain
from rcu.bench import _native
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import PATIENCE, NotMeasured, Scale, start_many

TITLE = "memory for a thread and domain: its slot, and its share of the tables that lead there"
TARGET = Target(192, low=128)
DOMAINS = 8
# A process of its own, because slots that earlier cases gave back are used again, and would count as nothing.
_CHILD = (
    "import sys; sys.path[:] = {path!r}\n"
    "from rcu.bench.cases import footprint\n"
    "footprint.print_growth({threads}, {domains})\n"
)
# glibc's struct mallinfo2, all of size_t.
_IN_USE, _MAPPED = "uordblks", "hblkhd"
_FIELDS = ("arena", "ordblks", "smblks", "hblks", _MAPPED, "usmblks", "fsmblks", _IN_USE, "fordblks", "keepcost")


def run(scale: Scale) -> list[Line]:
    _allocated()  # or NotMeasured
    return [
        _line(scale, f"a thread in {DOMAINS} domains, for each", DOMAINS, ""),
        _line(scale, "a thread in one domain", 1, "with what a thread has once for all domains that it reads in"),
    ]


def _line(scale: Scale, what: str, domains: int, note: str) -> Line:
    threads = scale.count(1000, 32)
    each = [_measure(threads, domains) / threads / domains for _ in range(scale.count(3, 1))]
    figures = {"slot bytes": _native.slot_bytes, "threads": threads}
    return Line(what, Spread.of(each), "bytes", TARGET, figures, note)


def _measure(threads: int, domains: int) -> int:
    child = _CHILD.format(path=[entry or "." for entry in sys.path], threads=threads, domains=domains)
    # What a thread has freed and keeps for itself counts as handed out: it is to keep nothing.
    env = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", child], capture_output=True, text=True, env=env, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotMeasured("a process of its own took too long; try on a machine with less to do") from error
    if done.returncode != 0:
        raise NotMeasured(f"a process of its own failed: {(done.stderr.splitlines() or ['no word'])[-1]}")
    return int(done.stdout)


def print_growth(threads: int, domains: int) -> None:
    """Prints by how many bytes the heap has grown when each thread has read in each domain. One thread runs at a
    time, and all stay until the end."""
    subjects = [Domain(f"bench-{i}") for i in range(domains)]
    growth: list[int] = []
    turns = [threading.Semaphore(0) for _ in range(threads)]
    over, leave = threading.Semaphore(0), threading.Event()
    numbers = itertools.count()

    def read() -> None:
        turns[next(numbers)].acquire()
        try:
            measure()
        finally:
            over.release()
        leave.wait()

    def measure() -> None:
        _allocated()  # what the interpreter keeps for each thread that calls it is not counted
        before = _allocated()
        for domain in subjects:
            with domain:
                pass
        growth.append(_allocated() - before)

    started = start_many(threads, read)
    for turn in turns:
        turn.release()
        over.acquire()
    leave.set()
    for thread in started:
        thread.join()
    if len(growth) < threads:
        raise NotMeasured(f"{threads - len(growth)} threads failed")
    print(sum(growth))


@functools.cache
def _mallinfo2() -> Callable:
    try:
        import ctypes

        function = ctypes.CDLL(None).mallinfo2
    except (ImportError, AttributeError, OSError, TypeError) as error:
        raise NotMeasured("only glibc 2.33 or later says what its heap holds (mallinfo2)") from error

    class Mallinfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]

    function.restype = Mallinfo2
    return function


def _allocated() -> int:
    """Bytes that the C library has handed out. Python's objects come from elsewhere, so they do not blur it."""
    found = _mallinfo2()()
    return getattr(found, _IN_USE) + getattr(found, _MAPPED)
