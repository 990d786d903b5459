"""Finds in the code the lines that the litmus tests are about, and the litmus tests that a change of the code fails."""

import re
from pathlib import Path

from .source import tests

ROOT = Path(__file__).parents[2]

# Without atomic.h and barrier_*.h: what they define is what the tests' statements stand for.
ENGINE = (
    "include/rcu/read.h",
    "include/rcu/pointer.h",
    "include/rcu/list.h",
    "include/rcu/array.h",
    *sorted(f"rcu/{path.name}" for path in ROOT.glob("rcu/_*.pyx")),
)

# What orders: every access that is more than relaxed, and every fence.
ORDERED = re.compile(
    r"(?<!define )\b(rcu_load_acquire|rcu_store_release|rcu_exchange|rcu_fetch_add|rcu_fetch_sub|rcu_compare_exchange"
    r"|rcu_dereference|rcu_assign_pointer|rcu_full_barrier|rcu_compiler_barrier|heavy_barrier)\("
    r"|__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)"
)

# How a function's, or a macro's, lines begin and end.
FUNCTION = {
    ".pyx": (r"^(?:cdef|cpdef|def)\b[^=\n]*?(\w+)\([^\n]*:\n", r"^(?=[^\s#])"),
    ".h": (r"^static inline [^\n]*?(\w+)\([^;{]*\{\n", r"^\}"),
}
MACRO = (r"^(?=#define (\w+)\()", r"(?<!\\)$")


def bare(text, suffix):
    """The code's lines: without comments, `pass`, indentation, and the ends that continue a line."""
    if suffix == ".h":
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    else:
        text = re.sub(r"(^|\s)#.*", "", text)
        text = re.sub(r'""".*?"""', "", text, flags=re.S)
    lines = (" ".join(line.rstrip("\\").split()) for line in text.splitlines())
    return [line for line in lines if line not in ("", "pass", "{", "}")]


def functions(text, suffix):
    """name: its lines. Functions of one name, as of two compilers, are one."""
    found = {}
    for begin, end in FUNCTION[suffix], MACRO:
        for start in re.finditer(begin, text, re.M):
            stop = re.compile(end, re.M).search(text, start.end())
            body = text[start.end() : stop.end() if stop else None]
            found.setdefault(start[1], []).extend(bare(body, suffix))
    return found


def read(file):
    return (ROOT / file).read_text(encoding="utf-8")


def ordered_lines():
    """(file, function, line) of the engine's code."""
    for file in ENGINE:
        for name, lines in functions(read(file), Path(file).suffix).items():
            for line in lines:
                if ORDERED.search(line):
                    yield file, name, line


def places(lines, some):
    return [i for i in range(len(lines)) if lines[i : i + len(some)] == some]


def line_with(text, lines):
    """The one line that is, or else has, the text; None if there is none, or more than one."""
    found = [line for line in lines if line == text] or [line for line in lines if text in line]
    return found[0] if len(found) == 1 else None


def modelled(reference):
    """The line of the code that a reference means, or None."""
    known = functions(read(reference.file), Path(reference.file).suffix)
    return line_with(reference.line, known.get(reference.function, []))


def edited(edit, lines):
    """A function's lines after an edit; None if what it replaces does not stand there, or more than once."""
    line = line_with(edit.old, lines)
    if line and line != edit.old and edit.new:
        return [one.replace(edit.old, edit.new) for one in lines]
    old = edit.old.split(" ; ")
    found = places(lines, old)
    if len(found) != 1:
        return None
    new = edit.new.split(" ; ") if edit.new else []
    return lines[: found[0]] + new + lines[found[0] + len(old) :]


def killed_by(file, old, new):
    """The weakened tests that a change of the code makes: `old` replaced by `new` in a file of the code.

    They are those of which the model says that the change can be seen, as variants: str(variant) is a name that
    `sh ci/litmus.sh` takes.
    """
    text = read(file)
    if text.count(old) != 1:
        raise ValueError(f"{file} has the text {text.count(old)} times, and must have it once: {old!r}")
    suffix = Path(file).suffix
    before = functions(text, suffix)
    after = functions(text.replace(old, new), suffix)
    changed = [name for name in before if before[name] != after.get(name)]
    return [
        variant
        for test in tests()
        for variant in test.weakened
        if variant.sometimes
        and any(
            (edit.file, [edit.function]) == (file, changed)
            and edited(edit, before[edit.function]) == after[edit.function]
            for edit in variant.edits
        )
    ]
