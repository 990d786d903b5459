"""Measures the extensions here against the same structures behind other protections: `python measure.py --help`.

For the interpreter of an environment in which they are installed, rcu among them."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rcu.bench import report
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.laps import Loop, require_processors
from rcu.bench.machine import machine
from rcu.bench.measure import NotMeasured, Scale, ratios
from rcu.bench.record import Run, as_json
from rcu.bench.throughput import interleaved, throughput

_REPEATS = 51
_SECONDS = 0.002  # few of these are disturbed
_MILLION = 1e6
TWICE = Target(low=1.9)
FIVEFOLD = Target(low=5.0)

type Rates = Mapping[tuple[str, int], Sequence[float]]


def rates_of(scale: Scale, ways: Mapping[str, Loop]) -> tuple[Rates, str]:
    """Turns in a second of each way's loop, on one thread and on two at once, each on a processor of its own."""
    where = require_processors(2)
    measures: dict[tuple[str, int], Callable[[], float]] = {
        (name, count): partial(throughput, scale, [loop] * count, _SECONDS, where[:count])
        for name, loop in ways.items()
        for count in (1, 2)
    }
    return interleaved(scale, _REPEATS, measures)


def flatness(rates: Rates, name: str, target: Target | None = None, note: str = "") -> Line:
    """Two threads beside one."""
    figures = {f"{count} thread{'s' * (count > 1)} M/s": _millions(rates[name, count]) for count in (1, 2)}
    spread = ratios(rates[name, 2], rates[name, 1])
    return Line(f"{name}: two threads / one", spread, "x", target, figures, note, more_is_better=True)


def beside(rates: Rates, name: str, rival: str, threads: int, target: Target | None = None) -> Line:
    """One way beside another, on as many threads."""
    figures = {f"{each} M/s": _millions(rates[each, threads]) for each in (name, rival)}
    what = f"{name} / {rival}, on {'two threads' if threads == 2 else 'one thread'}"
    spread = ratios(rates[name, threads], rates[rival, threads])
    return Line(what, spread, "x", target, figures, more_is_better=True)


def _millions(values: Sequence[float]) -> float:
    return Spread.of(values).median / _MILLION


def identity(scale: Scale) -> list[Line]:
    """Look-ups by identity, each in a section of its own, among 1000 objects."""
    import rivals

    keys = tuple(object() for _ in range(1000))
    ways: dict[str, Loop] = {}
    for name in rivals.WAYS:
        store = rivals.Store(name, keys)
        store.add(len(keys))
        ways[name] = partial(store.look_up, len(keys))
    rates, said = rates_of(scale, ways)
    return [
        flatness(rates, "rcu", TWICE, said),
        flatness(rates, "rcu_this_slot", TWICE),
        *(beside(rates, "rcu", rival, 1) for rival in ("nothing", "rcu_this_slot", "PyMutex", "lock", "count")),
        beside(rates, "rcu", "PyMutex", 2, FIVEFOLD),
        beside(rates, "rcu", "lock", 2),
        beside(rates, "rcu", "count", 2, FIVEFOLD),
        beside(rates, "rcu_this_slot", "PyMutex", 2, FIVEFOLD),
        beside(rates, "rcu_this_slot", "count", 2, FIVEFOLD),
    ]


def buckets(scale: Scale) -> list[Line]:
    """Bisections of 64 bounds, each in a section of its own."""
    import buckets_rivals

    ways: dict[str, Loop] = {}
    for name in buckets_rivals.WAYS:
        rival = buckets_rivals.Rival(name, 0.0)
        for bound in range(4, 256, 4):
            rival.add(bound)
        ways[name] = rival.look_up
    return _against_locks(scale, ways)


def registry(scale: Scale) -> list[Line]:
    """Look-ups of 100 types in a std::unordered_map, each in a section of its own."""
    import registry_rivals

    types = tuple(type(f"T{i}", (), {}) for i in range(100))
    ways: dict[str, Loop] = {}
    for name in registry_rivals.WAYS:
        rival = registry_rivals.Rival(name, types)
        rival.update()
        ways[name] = rival.look_up
    return _against_locks(scale, ways)


def _against_locks(scale: Scale, ways: Mapping[str, Loop]) -> list[Line]:
    rates, said = rates_of(scale, ways)
    return [
        flatness(rates, "rcu", note=said),
        *(flatness(rates, way) for way in ("rcu_this_slot", "PyMutex", "lock")),
        *(beside(rates, "rcu", rival, 1) for rival in ("nothing", "rcu_this_slot", "PyMutex", "lock")),
        *(beside(rates, "rcu", rival, 2) for rival in ("PyMutex", "lock")),
    ]


CASES = {"identity": identity, "buckets": buckets, "registry": registry}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="a few turns, to see that it runs")
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            parser.error(f"no case is named {name!r}; there are {', '.join(CASES)}")
    scale, facts = Scale(options.quick), machine()
    run = Run(not options.quick, 1, facts, {})
    if not options.json:
        print(report.heading(facts, scale, 1), flush=True)
    for name in options.cases or CASES:
        if not options.json:
            print(f"\n{name}: {CASES[name].__doc__}", flush=True)
        try:
            run.cases[name] = CASES[name](scale)
        except NotMeasured as why:
            run.cases[name] = [Line(name, missing=str(why))]
        if not options.json:
            print(*(report.text(line, scale) for line in run.cases[name]), sep="\n", flush=True)
    if options.json:
        print(json.dumps(as_json(run), indent=2))


if __name__ == "__main__":
    main()
