"""A list in C traversed in sections while it is updated, beside the same traversal without RCU."""

import contextlib
import threading
from collections.abc import Iterator

from rcu import Domain
from rcu.bench._lists import Traversed
from rcu.bench.findings import Line, Target
from rcu.bench.measure import Scale, ns, pairs, pinned, ratios, readers_processor

TITLE = "traversing a list in C, beside the same without sections and atomic loads while nothing changes"
TARGET = Target(1.15)
_EVERY_NS = 10_000  # an update
_AWAKE = 0.5  # of the updates that there should be, at least, or the updater was kept from its processor


def run(scale: Scale) -> list[Line]:
    reader, others = readers_processor()
    count = scale.count(100, 5)
    entries = scale.count(1000, 50)
    table = Traversed(Domain("bench"), entries, _EVERY_NS)
    rates: list[float] = []

    def beside_updates() -> float:
        table.go()
        before = table.updates
        seconds = table.time_traversals(count)
        rate = (table.updates - before) / (seconds * count)
        table.pause()
        scale.require(rate >= _AWAKE * 1e9 / _EVERY_NS)
        rates.append(rate)
        return seconds

    with pinned(reader), _updater(table, others[0]):
        quiet, walks, said = pairs(scale, 101, lambda: table.time_traversals(count), lambda: table.time_walks(count))
        line = Line("nothing changes", ratios(quiet, walks), "x", None, _figures(quiet, walks), said)
        busy, walks, said = pairs(scale, 101, beside_updates, lambda: table.time_walks(count))
    figures = _figures(busy, walks) | {"updates a second": sum(rates) / len(rates)}
    note = f"{entries} entries, each update replaces one and has the old one freed; {said}".rstrip("; ")
    return [line, Line("under updates", ratios(busy, walks), "x", TARGET, figures, note)]


def _figures(traversals: list[float], walks: list[float]) -> dict[str, float]:
    return {"in a section ns": ns(traversals), "without ns": ns(walks)}


@contextlib.contextmanager
def _updater(table: Traversed, processor: int) -> Iterator[None]:
    def update() -> None:
        with pinned(processor):
            table.update()

    thread = threading.Thread(target=update)
    thread.start()
    try:
        yield
    finally:
        table.stop()
        thread.join()
