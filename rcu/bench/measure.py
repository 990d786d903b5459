"""What the cases share: pairs of measurements, what came of them, and threads to measure with."""

import contextlib
import os
import statistics
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rcu import Domain
from rcu.bench import _native
from rcu.bench.findings import Line, Spread

try:
    import resource
except ImportError:  # Windows
    resource = None

NS = 1e9
LEFT_OUT = "left out, for other programs took a processor: {} repeats"
PATIENCE = 60.0
_SMALL_STACK = 256 * 1024
_CALIBRATION_PAUSE = 1000
_TRIES = 10  # for each repeat
_FEWEST = 5  # repeats that tell anything
_BUSY = 0.9  # of the time, at least, a reader that counts as busy must have run


class NotMeasured(Exception):
    """This cannot be measured here: why, and what would help."""


class Disturbed(Exception):
    """Something else had a processor that the measurement needed: it is void, and made again."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything is done."""

    quick: bool

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def seconds(self, full: float) -> float:
        return 0.01 if self.quick else full

    def require(self, undisturbed: bool) -> None:
        """`Disturbed`, unless the figures mean nothing anyway."""
        if not undisturbed and not self.quick:
            raise Disturbed


def repeated[T](scale: Scale, repeats: int, measure: Callable[[], T], *, here: bool = True) -> tuple[list[T], str]:
    """Undisturbed measurements, and how many were not, in words; the first is unheeded, to warm up. `here`: it is
    the calling thread that must not be disturbed; else `measure` sees to it by itself."""
    wanted = scale.count(repeats, 2)
    with contextlib.suppress(Disturbed):
        measure()
    found: list[T] = []
    disturbed = 0
    while len(found) < wanted and disturbed < _TRIES * wanted:
        before = preemptions()
        try:
            value = measure()
            scale.require(not here or preemptions() == before)
        except Disturbed:
            disturbed += 1
        else:
            found.append(value)
    if len(found) < scale.count(_FEWEST, 1):
        raise NotMeasured("other programs took the processors most of the time; try while the machine is idle")
    return found, LEFT_OUT.format(disturbed) if disturbed else ""


def pairs(
    scale: Scale, repeats: int, first: Callable[[], float], second: Callable[[], float], *, here: bool = True
) -> tuple[list[float], list[float], str]:
    """Both, alternating, so that what slows the machine meets both; and what `repeated` says."""
    found, said = repeated(scale, repeats, lambda: (first(), second()), here=here)
    return [pair[0] for pair in found], [pair[1] for pair in found], said


def preemptions() -> int:
    """How often the calling thread had to yield its processor to others; 0 where the system does not tell."""
    which = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if which is None else resource.getrusage(which).ru_nivcsw


def line_or_reason(what: str, measure: Callable[[], Line]) -> Line:
    try:
        return measure()
    except NotMeasured as why:
        return Line(what, missing=str(why))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Of each pair, for the two of a pair saw the same machine."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def ns(values: Sequence[float]) -> float:
    """The median of seconds, in nanoseconds."""
    return statistics.median(values) * NS


def free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def readers_may_leave_counts() -> bool:
    """Whether an interpreter like this can load a shared object without counting that."""
    return free_threaded() and sys.version_info >= (3, 14)


def require_threads_in_parallel() -> None:
    if sys._is_gil_enabled():
        how = "unset PYTHON_GIL and -X gil" if free_threaded() else "install one without, such as python3.14t"
        raise NotMeasured(f"the threads of this interpreter take turns, for it has a GIL; {how}")


def processors() -> list[int]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def readers_processor() -> tuple[int, list[int]]:
    """One for a reader alone, or it would not be busy but wait for its turn, mostly out of its sections; and the
    others."""
    *others, last = processors()
    if not others:
        raise NotMeasured("this process may use one processor only; the reader needs one of its own")
    return last, others


@contextlib.contextmanager
def pinned(*where: int) -> Iterator[None]:
    """Keeps the calling thread, and what it starts, on these processors, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def time_calls(function: Callable[[], object], count: int) -> float:
    """Seconds for a call, the turn of the loop included."""
    began = time.perf_counter_ns()
    for _ in range(count):
        function()
    return (time.perf_counter_ns() - began) / NS / count


def at_once[T](functions: Sequence[Callable[[], T]]) -> list[T]:
    """Calls each on a thread of its own; returns what they returned, or raises what the first one raised."""
    results: list[T] = [None] * len(functions)  # type: ignore[list-item]
    errors: list[BaseException] = []

    def call(index: int) -> None:
        try:
            results[index] = functions[index]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def start_many(count: int, target: Callable[[], None]) -> list[threading.Thread]:
    """Starts threads with small stacks, all or none of use: `NotMeasured` where the system grants fewer."""
    before = threading.stack_size(_SMALL_STACK)
    started: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError) as error:
        raise NotMeasured(
            f"the system grants {len(started)} threads of {count} ({error}); raise its limit (ulimit -u)"
        ) from error
    finally:
        threading.stack_size(before)
    return started


@contextlib.contextmanager
def bystanders(domain: Domain, count: int, quiesced: bool = False) -> Iterator[None]:
    """Threads that have read once and now sleep: quiesced by themselves, or for updaters to park."""
    leave = threading.Event()
    attached = threading.Semaphore(0)

    def read_and_sleep() -> None:
        with domain:
            pass
        if quiesced:
            domain.quiesce()
        attached.release()
        leave.wait()

    threads: list[threading.Thread] = []
    try:
        threads = start_many(count, read_and_sleep)
        for _ in threads:
            if not attached.acquire(timeout=PATIENCE):
                raise NotMeasured("the threads took too long to start; try on a machine with less to do")
        yield
    finally:
        leave.set()
        for thread in threads:
            thread.join()


class BusyReader:
    """A reader in C on a thread of its own, and whether it has run all the time."""

    def __init__(self, domain: Domain, pause: int, processor: int) -> None:
        self._reader = _native.Reader(domain, pause)
        self._processor = processor
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with pinned(self._processor):
            self._reader.run()

    def __enter__(self) -> "BusyReader":
        self._thread.start()
        while self._reader.sections == 0 and self._thread.is_alive():
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.stop()
        self._thread.join()

    def watch[T](self, scale: Scale, measure: Callable[[], T]) -> T:
        """What that returns; `Disturbed` if the reader did not run meanwhile, where the system tells."""
        if not hasattr(time, "pthread_getcpuclockid"):
            return measure()
        clock = time.pthread_getcpuclockid(self._thread.ident)
        ran, began = time.clock_gettime(clock), time.perf_counter()
        value = measure()
        ran, took = time.clock_gettime(clock) - ran, time.perf_counter() - began
        scale.require(ran >= _BUSY * took)
        return value


class Readers:
    """Threads that read in Python, lap after lap, and whether each of them did so all along."""

    def __init__(self, read_lap: Callable[[], object], count: int) -> None:
        self._read_lap = read_lap
        self._laps = [0] * count
        self._leave = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        self.fewest: int | None = None
        """Laps of a reader during a measurement."""

    def _run(self, index: int) -> None:
        while not self._leave.is_set():
            self._read_lap()
            self._laps[index] += 1

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        while min(self._laps) == 0 and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def watch[T](self, measure: Callable[[], T]) -> T:
        """What that returns; `Disturbed` if one of them did not finish a lap meanwhile."""
        before = list(self._laps)
        value = measure()
        laps = min(now - then for now, then in zip(self._laps, before, strict=True))
        if laps == 0:
            raise Disturbed
        self.fewest = laps if self.fewest is None else min(self.fewest, laps)
        return value


def pause_of(seconds: float) -> int:
    """The `pause` that makes sections of a `Reader` last about so long here."""
    domain = Domain("calibration")
    times = [_native.time_sections(domain, 200, _CALIBRATION_PAUSE) / 200 for _ in range(5)]
    return max(1, round(_CALIBRATION_PAUSE * seconds / min(times)))
