"""A run beside an older one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcu.bench import record
from rcu.bench.findings import Line, Spread
from rcu.bench.machine import DECISIVE
from rcu.bench.record import RecordError, Run

SAME = "same within the spread"


@dataclass(frozen=True, slots=True)
class Compared:
    """A line beside the older one: what that was, in its unit, and the ratio of this median to that one."""

    verdict: str
    was: Spread | None = None
    unit: str = ""
    ratio: float | None = None

    def as_json(self) -> dict[str, Any]:
        was = self.was
        return {
            "median": was and was.median,
            "min": was and was.low,
            "max": was and was.high,
            "ratio": self.ratio,
            "verdict": self.verdict,
        }


class Comparison:
    """With the run that the file holds; `RecordError` if that has figures for none of the cases."""

    def __init__(self, path: Path, cases: list[str]) -> None:
        self.path = path
        self.old = record.read(path)
        if not self.old.meaningful:
            raise RecordError(f"{path} is of a run with --quick, whose figures mean nothing; make it without")
        if not any(self.old.cases.get(name) for name in cases):
            has = ", ".join(self.old.cases) or "none at all"
            raise RecordError(f"{path} has none of the cases {', '.join(cases)}; it has {has}")

    def warnings(self, machine: dict[str, object], processes: int) -> list[str]:
        """What else than the code may be behind a difference."""
        then = self.old.machine
        found = [
            f"{fact} was {then.get(fact)!r}, is {machine.get(fact)!r}"
            for fact in DECISIVE
            if then.get(fact) != machine.get(fact)
        ]
        if processes != self.old.processes:
            found.append(
                f"it pooled {self.old.processes} processes for each case, this run {processes}: "
                "a spread over processes is not one over repeats"
            )
        return found

    def of(self, case: str, line: Line) -> Compared:
        if case not in self.old.cases:
            return Compared("no such case there")
        [old] = [old for old in self.old.cases[case] if old.what == line.what][:1] or [None]
        if old is None:
            return Compared("no such line there")
        if old.spread is None or line.spread is None:
            where = "there" if line.spread is not None else "here" if old.spread is not None else "there and here"
            return Compared(f"without a figure {where}", old.spread, old.unit)
        if old.unit != line.unit:
            return Compared(f"not comparable: the unit was {old.unit!r}, is {line.unit!r}", old.spread, old.unit)
        if old.more_is_better != line.more_is_better:
            return Compared(
                f"not comparable: {'more' if old.more_is_better else 'less'} was better", old.spread, old.unit
            )
        ratio = line.spread.median / old.spread.median if old.spread.median else None
        if line.spread.overlaps(old.spread):
            verdict = SAME
        else:
            verdict = "better" if (line.spread.median > old.spread.median) == line.more_is_better else "worse"
        return Compared(verdict, old.spread, old.unit, ratio)

    def only_there(self, case: str, lines: list[Line]) -> list[str]:
        """The lines of the case that this run has no more."""
        here = {line.what for line in lines}
        return [old.what for old in self.old.cases.get(case, []) if old.what not in here]

    def add_to(self, data: dict[str, Any], run: Run) -> None:
        """To the run's JSON."""
        data["compared"] = {
            "with": str(self.path),
            "rcu": self.old.machine.get("rcu"),
            "warnings": self.warnings(run.machine, run.processes),
            "only_there": {name: gone for name, lines in run.cases.items() if (gone := self.only_there(name, lines))},
        }
        for name, lines in run.cases.items():
            for line, entry in zip(lines, data["cases"][name], strict=True):
                entry["compared"] = self.of(name, line).as_json()
