"""The command line of the demo."""

import argparse
import math
import os
from pathlib import Path

from rcu._command import Parser

DEFAULT_FILE = Path(__file__).with_name("routes.toml")


def parse(argv: list[str], prog: str) -> argparse.Namespace:
    """The options; :exc:`~rcu._command.UsageError` if they make no sense."""
    parser = Parser(
        prog=prog,
        description="Reader threads answer look-ups from a routing table while it is reloaded over and over. "
        "Each version is a memory-mapped file that is unmapped once nobody reads it, and every answer is "
        "checked. The same work runs under rcu.Domain, threading.Lock and a reader-writer lock, each for a "
        "third of the time.",
        epilog="Exit code: 0; 1 if a read was wrong; 2 if FILE or an option is; 130 after Ctrl-C.",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        default=DEFAULT_FILE,
        help="routing table in TOML; it is read again when it changes, and never written (default: one of a "
        "small site, %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=10.0, metavar="N", help="how long to run in all (default: 10)"
    )
    parser.add_argument(
        "--readers",
        type=_count,
        default=max(2, os.process_cpu_count() or 1),
        metavar="N",
        help="reader threads (default: one for each core, at least 2)",
    )
    parser.add_argument(
        "--rate",
        type=_not_negative,
        default=50.0,
        metavar="N",
        help="how often a second the demo changes its copy of FILE; 0: only you do (default: 50)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--plot", type=_svg, metavar="OUT.svg", help="write a picture of the outcome")
    parser.add_argument(
        "--no-grace-period",
        dest="grace_period",
        action="store_false",
        help="unmap at once instead of after a grace period, to see what RCU prevents",
    )
    return parser.parse_args(argv)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def _positive(text: str) -> float:
    number = _number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return number


def _not_negative(text: str) -> float:
    number = _number(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _svg(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".svg":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .svg")
    # Better now than after the run.
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)) or path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written; name a file in a directory that you can write to"
        )
    return path
