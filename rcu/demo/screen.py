"""What people see: a live table on a terminal, lines of text elsewhere."""

import sys
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from rcu.demo import figures
from rcu.demo.trial import Outcome


class Screen:
    """Context manager: shows how the run goes while it is entered, and the final table after that."""

    def __init__(self, heading: str, seconds: float, *, json: bool) -> None:
        self._heading = heading
        self._seconds = seconds
        file = sys.stderr if json else sys.stdout
        terminal = file.isatty()
        # Said outright, because variables such as FORCE_COLOR make the library take a pipe for a terminal.
        self._console = Console(file=file, force_terminal=terminal)
        # With JSON on standard output, text that nobody watches is in the way.
        self._silent = json and not terminal
        self._live: Live | None = None
        if terminal:
            # No thread of its own: it would compete with the readers for the cores.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        else:
            self._line(self._heading)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def progress(self, outcomes: list[Outcome]) -> None:
        """Show what was counted so far; the last outcome is of the contender that runs."""
        if self._live:
            elapsed = sum(outcome.seconds for outcome in outcomes)
            bar = ProgressBar(total=self._seconds, completed=min(elapsed, self._seconds), width=60)
            self._live.update(Group(Text(self._heading), bar, self._grid(outcomes)), refresh=True)

    def finished(self, outcome: Outcome) -> None:
        """One contender is done."""
        if not self._live:
            self._line(figures.sentence(outcome))

    def problem(self, message: str) -> None:
        """Something went wrong, and the run goes on."""
        if self._live:
            self._live.console.print(Text(message, style="red"), soft_wrap=True)
        else:
            print(message, file=sys.stderr, flush=True)

    def result(self, outcomes: list[Outcome]) -> None:
        """Show the final table."""
        if self._live:
            self._console.print(Text(self._heading), self._grid(outcomes), sep="\n")
        elif not self._silent:
            self._line("")
            print(_aligned(outcomes), file=self._console.file, flush=True)

    def _line(self, text: str) -> None:
        if not self._silent:
            print(text, file=self._console.file, flush=True)

    def _grid(self, outcomes: list[Outcome]) -> RenderableType:
        grid = Grid(box=SIMPLE_HEAD)
        grid.add_column()
        for outcome in outcomes:
            grid.add_column(outcome.name, justify="right", min_width=14)
        for label, cells in figures.rows(outcomes):
            grid.add_row(label, *cells)
        return grid


def _aligned(outcomes: list[Outcome]) -> str:
    lines = [("", [outcome.name for outcome in outcomes]), *figures.rows(outcomes)]
    return "\n".join(f"{label:22}" + "".join(f"{cell:>17}" for cell in cells) for label, cells in lines)
