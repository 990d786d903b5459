"""Where in a TOML text an error is.

tomllib says it for broken syntax; for values that make no sense the text is searched again.
"""

import re
import tomllib
from typing import NamedTuple


class Position(NamedTuple):
    """A place in a text; lines and columns count from 1."""

    line: int
    column: int


START = Position(1, 1)

# Strings and comments come first, so that braces and keys inside them are passed over.
_SKIPPED = r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|\'\'\'[\s\S]*?\'\'\'|\'[^\'\n]*\'|#[^\n]*'
_ROUTE_STARTS = re.compile(_SKIPPED + r"|(?P<found>\{|\[\[\s*routes\s*\]\])")


def of_offset(text: str, offset: int) -> Position:
    """The position of the character at *offset*."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def of_syntax_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[Position, str]:
    """The position that tomllib found, and its reason without it."""
    if hasattr(error, "lineno"):
        return Position(error.lineno, error.colno), error.msg
    # Python 3.13 says it only in the message.
    message = str(error)
    if found := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        return Position(int(found[1]), int(found[2])), message[: found.start()]
    return of_offset(text, len(text)), message.removesuffix(" (at end of document)")


def of_key(text: str, key: str) -> Position:
    """The position of the value of the top-level *key*."""
    return _value_between(text, key, 0, len(text)) or START


def of_route(text: str, index: int, key: str | None = None) -> Position:
    """The position of route number *index*, or of the value of its *key* where it has one."""
    starts = [match.start() for match in _ROUTE_STARTS.finditer(text) if match["found"]]
    if index >= len(starts):
        return START
    end = starts[index + 1] if index + 1 < len(starts) else len(text)
    found = key and _value_between(text, key, starts[index], end)
    return found or of_offset(text, starts[index])


def _value_between(text: str, key: str, begin: int, end: int) -> Position | None:
    pattern = re.compile(_SKIPPED + rf"|(?P<key>(?<![\w-]){re.escape(key)}\s*=\s*)")
    for match in pattern.finditer(text, begin, end):
        if match["key"]:
            return of_offset(text, match.end())
    return None
