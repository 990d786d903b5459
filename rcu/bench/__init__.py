"""The benchmark: what sections, grace periods and cells cost here, each beside its rival, in the same run."""

import argparse
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rcu._command import Parser, UsageError, command, fail

if TYPE_CHECKING:
    from rcu.bench.record import Run

__all__ = ["main"]

_EXIT_CODES = "Exit code: 0, also where a target is missed; 2 if an argument is wrong; 130 after Ctrl-C."


def main(argv: list[str], prog: str) -> int:
    """Run the benchmark with these arguments; the exit code."""
    from rcu.bench.cases import CASES

    return command(
        prog,
        lambda: _parse(argv, prog, {name: case.TITLE for name, case in CASES.items()}),
        lambda options: _run(prog, options, {name: CASES[name] for name in options.cases}),
    )


def _parse(argv: list[str], prog: str, titles: dict[str, str]) -> argparse.Namespace:
    width = max(map(len, titles))
    listing = [f"  {name:{width}}  {title}" for name, title in titles.items()]
    parser = Parser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures what sections, grace periods and cells cost on this machine, each beside its rival in\n"
        "the same run, and prints medians with their spread, beside the project's targets.",
        epilog="\n".join(["cases:", *listing, "", _EXIT_CODES]),
    )
    parser.add_argument("cases", metavar="CASE", nargs="*", help="run only these cases, in this order (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the JSON object to FILE, too")
    parser.add_argument(
        "--plot", metavar="DIR", type=Path, help="draw each graph as DIR/CASE-GRAPH.svg (needs matplotlib)"
    )
    parser.add_argument(
        "--compare",
        metavar="OLD",
        type=Path,
        help="put each line beside that of an older run, as --json printed it or --save wrote it: the ratio of the"
        " medians, and whether the spreads overlap",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_at_least_one,
        default=1,
        help="run each case in N fresh processes, and pool their medians; for runs that are to be compared",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few turns of each, to see that it runs; the figures mean nothing",
    )
    options = parser.parse_args(argv)
    for name in options.cases:
        if name not in titles:
            raise UsageError(f"no case is named {name!r}; there are {', '.join(titles)}")
    options.cases = list(dict.fromkeys(options.cases or titles))
    _check_outputs(options)
    return options


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _check_outputs(options: argparse.Namespace) -> None:
    """Before anything is measured, for that may take an hour. Puts the comparison itself in place of its path."""
    if options.plot is not None:
        if importlib.util.find_spec("matplotlib") is None:
            raise UsageError("--plot: the package 'matplotlib' is not installed; pip install 'rcu[plot]'")
        try:
            options.plot.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--plot {options.plot}: {error.strerror}") from error
        _check_writable("--plot", options.plot, options.plot)
    if options.save is not None:
        if options.save.is_dir():
            raise UsageError(f"--save {options.save}: is a directory; name a file")
        _check_writable("--save", options.save, options.save.parent)
    if options.compare is not None:
        if options.quick:
            raise UsageError("--compare with --quick compares nothing, for its figures mean nothing; leave one out")
        from rcu.bench.compare import Comparison
        from rcu.bench.record import RecordError

        try:
            options.compare = Comparison(options.compare, options.cases)
        except RecordError as error:
            raise UsageError(f"--compare: {error}") from error


def _check_writable(option: str, path: Path, directory: Path) -> None:
    if not directory.is_dir():
        raise UsageError(f"{option} {path}: there is no directory {directory}")
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{option} {path}: the directory {directory} may not be written to")


def _run(prog: str, options: argparse.Namespace, cases: dict) -> int:
    def say(text: str) -> None:
        if not options.json:
            print(text, flush=True)

    run = _measure(options, cases, say)
    try:
        _write(options, run, say)
    except OSError as error:
        return fail(prog, str(error))
    return 0


def _measure(options: argparse.Namespace, cases: dict, say: Callable[[str], None]) -> "Run":
    from rcu.bench import pool, report
    from rcu.bench.findings import Line
    from rcu.bench.machine import machine
    from rcu.bench.measure import NotMeasured, Scale
    from rcu.bench.record import Run

    def measure(name: str) -> list[Line]:
        title = cases[name].TITLE
        if options.processes > 1:
            return pool.run(name, title, options.processes, options.quick)
        try:
            return cases[name].run(scale)
        except NotMeasured as why:
            return [Line(title, missing=str(why))]

    scale, comparison = Scale(options.quick), options.compare
    facts = machine()
    run = Run(not options.quick, options.processes, facts, {})
    say(report.heading(facts, scale, options.processes))
    if comparison is not None:
        say(report.comparison_heading(comparison, facts, options.processes))
    for name, case in cases.items():
        say(f"\n{name}: {case.TITLE}")
        run.cases[name] = measure(name)
        for line in run.cases[name]:
            say(report.text(line, scale, comparison and comparison.of(name, line)))
        for what in comparison.only_there(name, run.cases[name]) if comparison else []:
            say(f"  in {comparison.path} only: {what}")
    return run


def _write(options: argparse.Namespace, run: "Run", say: Callable[[str], None]) -> None:
    from rcu.bench.record import as_json

    data = as_json(run)
    if options.compare is not None:
        options.compare.add_to(data, run)
    text = json.dumps(data, indent=2)
    if options.json:
        print(text)
    if options.save is not None:
        options.save.write_text(f"{text}\n", encoding="utf-8")
        say(f"\nwrote {options.save}")
    if options.plot is not None:
        # Not before all is measured: it starts threads, and extension modules may turn the GIL on.
        from rcu.bench.plot import save

        found = list(save(run, options.plot))
        say("\n".join(["", *(f"wrote {path}" for path in found)]) if found else "\nno graph: these cases have none")
