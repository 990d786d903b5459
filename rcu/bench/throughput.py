"""How much threads get done, at once and beside an updater."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rcu.bench.laps import Loop, alone
from rcu.bench.measure import LEFT_OUT, NS, Disturbed, NotMeasured, Scale, at_once, pinned, preemptions

_TRIES = 30  # for each measurement
_FEWEST = 5  # repeats that tell anything
_LAP = 100e-6  # seconds
_FIRST_TURNS = 50


def interleaved[Key, T](
    scale: Scale, repeats: int, measures: dict[Key, Callable[[], T]]
) -> tuple[dict[Key, list[T]], str]:
    """What each measured, and how many times it was disturbed, in words. One after the other in each repeat, so that
    what slows the machine meets all; what was disturbed is made again. The first repeat is unheeded, to warm up."""
    found: list[dict[Key, T]] = []
    disturbed = 0

    def undisturbed(measure: Callable[[], T]) -> T:
        nonlocal disturbed
        for _ in range(_TRIES):
            try:
                return measure()
            except Disturbed:
                disturbed += 1
        raise Disturbed

    for _ in range(1 + scale.count(repeats, 1)):
        with contextlib.suppress(Disturbed):
            found.append({key: undisturbed(measure) for key, measure in measures.items()})
    if len(found) < 1 + scale.count(_FEWEST, 1):
        raise NotMeasured("other programs took the processors most of the time; try while the machine is idle")
    said = LEFT_OUT.format(disturbed) if disturbed else ""
    return {key: [repeat[key] for repeat in found[1:]] for key in measures}, said


def throughput(scale: Scale, loops: Sequence[Loop], seconds: float, where: Sequence[int] | None = None) -> float:
    """Turns in a second of all loops at once, each on a thread of its own. `where`: each on a processor of its own,
    and `Disturbed` if anything else ran there."""
    end = 0.0

    def begin() -> None:
        nonlocal end
        end = time.perf_counter() + seconds

    start = threading.Barrier(len(loops), action=begin)

    def run(loop: Loop, place: contextlib.AbstractContextManager) -> tuple[float, bool]:
        with place:
            turns = lap_turns(loop)
            start.wait()
            before, laps = preemptions(), 0
            began = time.perf_counter()
            while laps == 0 or time.perf_counter() < end:
                loop(turns)
                laps += 1
            took = time.perf_counter() - began
            # Of one lap it is not known whether the others ran beside it.
            return laps * turns / took, preemptions() == before and laps > 1

    places = [contextlib.nullcontext()] * len(loops) if where is None else [pinned(place) for place in where]
    runs = at_once([partial(run, *pair) for pair in zip(loops, places, strict=True)])
    scale.require(where is None or all(undisturbed for _, undisturbed in runs))
    return sum(rate for rate, _ in runs)


def lap_turns(loop: Loop) -> int:
    """How many turns of the loop take as long as a lap should; makes a few, which warms its bytecode up."""
    loop(_FIRST_TURNS)
    # The shortest of several: a thread that was preempted meanwhile would take laps of a turn each.
    shortest = min(alone(loop, _FIRST_TURNS) for _ in range(5))
    return max(1, round(_LAP / max(shortest, 1 / NS)))


class Updates:
    """How many were made."""

    def __init__(self) -> None:
        self.made = 0
        self.seconds = 0.0

    @property
    def rate(self) -> float:
        """Updates in a second."""
        return self.made / self.seconds if self.seconds else 0.0


@contextlib.contextmanager
def updates(update: Callable[[], object], rate: float) -> Iterator[Updates]:
    """Calls that so many times in a second beside the body, evenly; what is late is caught up with."""
    done = Updates()
    leave = threading.Event()

    def work() -> None:
        began = time.perf_counter()
        while not leave.wait(max(0.0, began + done.made / rate - time.perf_counter())):
            while done.made <= (time.perf_counter() - began) * rate and not leave.is_set():
                update()
                done.made += 1
        done.seconds += time.perf_counter() - began

    worker = threading.Thread(target=work)
    if rate > 0:
        worker.start()
    try:
        yield done
    finally:
        leave.set()
        if rate > 0:
            worker.join()
