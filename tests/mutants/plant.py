"""Plants one fault into a copy of the package's sources: what `setup.py` builds when RCU_MUTANT names it."""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("mutants.toml")


@dataclass(frozen=True, slots=True)
class Edit:
    """One place that is changed: `old` occurs in `file` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    what: str
    killed_by: str
    """The check that has to find it: "litmus", "torture MODE ...", or a test's name as pytest has it."""
    edits: tuple[Edit, ...]
    x86: bool
    """False: no x86 processor can show it."""
    fence: bool
    """True: it is in the fence flavor only, so that is what the check runs with."""
    quick: bool
    """True: one of those that are killed soonest, which is what a quick hunt is for."""

    @property
    def deterministic(self) -> bool:
        """Does its check give the same answer each time?"""
        return self.killed_by.startswith(("litmus", "model"))


def mutants() -> dict[str, Mutant]:
    """All, by name, in the order of the table."""
    table = tomllib.loads(TABLE.read_text())
    return {
        name: Mutant(
            name,
            row["what"],
            row["killed_by"],
            tuple(Edit(**edit) for edit in row.get("edits") or [{key: row[key] for key in ("file", "old", "new")}]),
            row.get("x86", True),
            row.get("fence", False),
            row.get("quick", False),
        )
        for name, row in table.items()
    }


def apply(edit: Edit, text: str) -> str:
    """The text with the edit made; ValueError if it does not fit exactly once."""
    times = text.count(edit.old)
    if times != 1:
        raise ValueError(f"{edit.file} holds {edit.old!r} {times} times, and a mutant changes it where it is once")
    return text.replace(edit.old, edit.new)


def plant(name: str, folder: Path) -> Path:
    """Copies rcu/ and include/ into `folder`, plants the mutant there, and returns the folder.

    :raises ValueError: there is no such mutant, or the sources have changed so that it no longer fits.
    """
    known = mutants()
    if name not in known:
        raise ValueError(f"RCU_MUTANT={name!r} names no mutant; there are {', '.join(known)}")
    built = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "*.html", "__pycache__")
    for part in ("rcu", "include"):
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(ROOT / part, folder / part, ignore=built)
    for edit in known[name].edits:
        path = folder / edit.file
        path.write_text(apply(edit, path.read_text()))
    return folder
