"""What the commands of the command line have in common: how they say that they cannot go on."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

FAILED = 2
INTERRUPTED = 130


class UsageError(Exception):
    """The command line makes no sense; says why in one line."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError`, where argparse prints half a page."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def command[Options](prog: str, parse: Callable[[], Options], work: Callable[[Options], int]) -> int:
    """Does the work that the command line asks for; the exit code."""
    try:
        options = parse()
    except UsageError as error:
        return fail(prog, str(error))
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    try:
        return work(options)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED


def fail(prog: str, message: str) -> int:
    """Says on stderr why the command cannot go on; the exit code."""
    print(f"{prog}: error: {message}", file=sys.stderr)
    return FAILED
