"""The torture: readers and updaters of all kinds at once, and counts that show that they met."""

import argparse
import json
import os
import sys
from typing import Any

from rcu._command import Parser, UsageError, command

__all__ = ["main"]

_BROKEN = 1
_EXIT_CODES = """\
Exit code: 0; 1 after a violation, a thread that gets no further, or where something that should have happened did
not happen once; 2 if an argument is wrong; 130 after Ctrl-C."""
_LARGEST = 10**9
_LARGEST_SEED = 2**63


def main(argv: list[str], prog: str) -> int:
    """Run the torture with these arguments; the exit code."""
    from rcu.torture.modes import MODES

    return command(
        prog,
        lambda: _parse(argv, prog, {name: mode.TITLE for name, mode in MODES.items()}),
        lambda options: _run(prog, **options),
    )


def _run(prog: str, *, as_json: bool, **chosen: Any) -> int:
    from rcu.torture import report, run

    options = run.Options(**chosen)

    def say(line: str) -> None:
        if not as_json:
            print(line, flush=True)

    say(report.heading(options))
    try:
        result = run.run(options, say)
    except run.Hang as hang:
        # Its threads cannot be ended, so neither can the interpreter in good order.
        print(f"{prog}: --seed {options.seed}: {hang}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_BROKEN)
    if as_json:
        print(json.dumps(report.as_json(options, result), indent=2))
    say(report.text(result))
    return 0 if result.good else _BROKEN


def _parse(argv: list[str], prog: str, titles: dict[str, str]) -> dict[str, Any]:
    width = max(map(len, titles))
    listing = [f"  {name:{width}}  {title}" for name, title in titles.items()]
    parser = Parser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Readers and updaters of all kinds work on objects that are really freed, and look for what must\n"
        "never happen; counts show that it could have. After the kernel's rcutorture.",
        epilog="\n".join(["modes:", *listing, "", _EXIT_CODES]),
    )
    parser.add_argument("modes", metavar="MODE", nargs="*", help="only these modes (default: all)")
    parser.add_argument("--seconds", type=_positive(float), default=10.0, help="how long, in all (default: 10)")
    parser.add_argument(
        "--sections", type=_count, default=0, help="go on until there were so many sections, as 1e10 (default: 0)"
    )
    parser.add_argument(
        "--periods", type=_count, default=0, help="go on until there were so many grace periods (default: 0)"
    )
    parser.add_argument("--readers", type=_positive(int), default=4, help="threads that read (default: 4)")
    parser.add_argument("--updaters", type=_positive(int), default=6, help="threads that update (default: 6)")
    parser.add_argument("--seed", type=_seed, help="repeat the draws of a run that printed this seed")
    parser.add_argument(
        "--patience",
        type=_positive(float),
        default=60.0,
        metavar="SECONDS",
        help="a thread that gets no further for so long hangs (default: 60)",
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(argv)
    for name in options.modes:
        if name not in titles:
            raise UsageError(f"no mode is named {name!r}; there are {', '.join(titles)}")
    options.modes = list(dict.fromkeys(options.modes or titles))
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4))
    return vars(options)


def _positive(kind):
    def convert(text):
        value = kind(text)
        if not 0 < value < _LARGEST:
            raise argparse.ArgumentTypeError(f"must be above 0 and below {_LARGEST:,}, not {text}")
        return value

    convert.__name__ = "number" if kind is float else "whole number"
    return convert


def _count(text):
    value = float(text)
    if not (0 <= value < _LARGEST_SEED and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, not {text}")
    return int(value)


def _seed(text):
    value = int(text)
    if not 0 <= value < _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2^63 - 1, not {text}")
    return value
