"""Look-ups in a published dict whose keys are equal to what is looked up, but not the same: interned, and not."""

import itertools
import sys
import time
from functools import partial
from statistics import median

import rcu
from rcu.bench.findings import Line
from rcu.bench.laps import over, require_processors
from rcu.bench.measure import Scale, ratios
from rcu.bench.throughput import interleaved, throughput

TITLE = "look-ups in a published dict of 10,000 keys, interned and not: what two threads get done / one"
_KEYS = 10_000
_REPEATS = 31
_SECONDS = 0.002  # few are disturbed
_MILLION = 1e6
NOTES = {
    "keys that are interned": "immortal without the GIL: a look-up compares with them as they are",
    "keys that are not": "a look-up has to hold on to the key that it compares with, and takes the dictionary's lock"
    " where another thread made that",
}


def look_up(cell: rcu.Cell, turns: int) -> None:
    # This thread's own numbers, so it alone counts them; all keys in turn, scattered.
    different = _KEYS + 0
    number = time.perf_counter_ns() % different
    for _ in range(turns):
        number = (number * 21 + 7) % different
        cell.value[f"key {number}"]


def make_key(number: int) -> str:
    return f"key {number}"


def run(scale: Scale) -> list[Line]:
    where = require_processors(2)
    alternate = itertools.cycle(where)
    measures = {}
    for name, key in zip(NOTES, [lambda number: sys.intern(make_key(number)), make_key], strict=True):
        cell = rcu.Cell({key(number): number % 256 for number in range(_KEYS)}, domain=rcu.Domain("bench"))
        loop = over(look_up, cell)
        measures[name, 1] = lambda loop=loop: throughput(scale, [loop], _SECONDS, [next(alternate)])
        measures[name, 2] = partial(throughput, scale, [loop] * 2, _SECONDS, where)
    found, said = interleaved(scale, _REPEATS, measures)
    return [
        Line(
            f"{name}: look-ups of two threads / of one",
            ratios(found[name, 2], found[name, 1]),
            "x",
            None,
            {
                "one thread M/s": median(found[name, 1]) / _MILLION,
                "two threads M/s": median(found[name, 2]) / _MILLION,
            },
            "; ".join(filter(None, [note, said])),
            more_is_better=True,
        )
        for name, note in NOTES.items()
    ]
