"""The benchmark: what sections and grace periods cost here, each beside its rival, in the same run."""

import argparse
import json

from rcu._command import Parser, UsageError, command

__all__ = ["main"]

_EXIT_CODES = "Exit code: 0, also where a target is missed; 2 if an argument is wrong; 130 after Ctrl-C."


def main(argv: list[str], prog: str) -> int:
    """Run the benchmark with these arguments; the exit code."""
    from rcu.bench.cases import CASES

    return command(
        prog,
        lambda: _parse(argv, prog, {name: case.TITLE for name, case in CASES.items()}),
        lambda options: _run(options, {name: CASES[name] for name in options.cases}),
    )


def _parse(argv: list[str], prog: str, titles: dict[str, str]) -> argparse.Namespace:
    width = max(map(len, titles))
    listing = [f"  {name:{width}}  {title}" for name, title in titles.items()]
    parser = Parser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures what sections and grace periods cost on this machine, each beside its rival in the\n"
        "same run, and prints medians with their spread, beside the project's targets.",
        epilog="\n".join(["cases:", *listing, "", _EXIT_CODES]),
    )
    parser.add_argument("cases", metavar="CASE", nargs="*", help="run only these cases, in this order (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
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
    return options


def _run(options: argparse.Namespace, cases: dict) -> int:
    from rcu.bench import report
    from rcu.bench.measure import Line, NotMeasured, Scale

    scale = Scale(options.quick)
    found: dict[str, list[Line]] = {}
    if not options.json:
        print(report.heading(scale))
    for name, case in cases.items():
        if not options.json:
            print(f"\n{name}: {case.TITLE}", flush=True)
        try:
            found[name] = case.run(scale)
        except NotMeasured as why:
            found[name] = [Line(case.TITLE, missing=str(why))]
        if not options.json:
            for line in found[name]:
                print(report.text(line, scale), flush=True)
    if options.json:
        print(json.dumps(report.as_json(found, scale), indent=2))
    return 0
