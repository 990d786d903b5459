"""C sources as text: without comments, their lines as the preprocessor joins them, and what is declared there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blanked(text):
    """The text without comments and without what is in quotes; each line stays where it is."""

    def blank(match):
        found = match.group()
        return '""' if found.startswith('"') else "''" if found.startswith("'") else " " + "\n" * found.count("\n")

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def joined(text):
    """Pairs of number and line, where a backslash continues the line."""
    number, begun = 1, None
    for at, line in enumerate(text.splitlines(), 1):
        if begun is None:
            number, begun = at, ""
        begun += line
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        yield number, begun
        begun = None


def inline_functions(text):
    """Name of each inline function of a header, with the comment before it and its head."""
    found = {}
    pattern = r"(?:/\*((?:(?!\*/).)*)\*/\s*)?^static inline ((?:[\w ]|\*)+?)(\w+)\(([^)]*)\)\n\{"
    for match in re.finditer(pattern, text, re.M | re.S):
        comment, result, name, arguments = match.groups()
        words = re.sub(r"\s*\n \*\s*", " ", comment or "").strip()
        found[name] = (words, f"{result.strip()} {name}({' '.join(arguments.split())})")
    return found
