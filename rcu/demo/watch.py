"""Reloading a file whenever it changes, and changing it."""

import os
import random
import re
from pathlib import Path

from rcu.demo import table
from rcu.demo.table import Table, TableError

_METRIC = re.compile(r"(?<![\w-])(metric\s*=\s*)\d+")
HIGHEST_NEW_METRIC = 600


class WatchedFile:
    """Tells whether a file changed since it was last asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._signature()

    def changed(self) -> bool:
        """Has the file been written, replaced or removed?"""
        before, self._seen = self._seen, self._signature()
        return before != self._seen

    def _signature(self) -> tuple[int, ...] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


class Rewriter:
    """Changes the metric of one route of a text at a time, in a file that readers never see half-written."""

    def __init__(self, path: Path, text: str, seed: int = 0) -> None:
        self.path = path
        self._random = random.Random(seed)
        self._edits = 0
        self.adopt(text)

    def adopt(self, text: str) -> None:
        """Go on from another text."""
        self._text = text
        self._write(text)

    def edit(self) -> None:
        """Change one route and write the file."""
        self._edits += 1
        places = list(_METRIC.finditer(self._text))
        if places:
            place = self._random.choice(places)
            metric = str(self._random.randrange(HIGHEST_NEW_METRIC))
            self._text = self._text[: place.start()] + place[1] + metric + self._text[place.end() :]
        # The comment makes each text another one, even where no metric changed.
        self._write(f"{self._text}\n# edit {self._edits}\n")

    def _write(self, text: str) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8", newline="\n")
        os.replace(draft, self.path)


class Source:
    """The table to serve: the user's file, never written, by way of a private copy that the demo edits."""

    def __init__(self, path: Path, directory: Path) -> None:
        self._original = WatchedFile(path)
        self.table = table.load(path)
        self._rewriter = Rewriter(directory / "routes.toml", self.table.text)
        self._copy = WatchedFile(self._rewriter.path)

    def edit(self) -> None:
        """Change the private copy."""
        self._rewriter.edit()

    def poll(self) -> Table | None:
        """The new table, if one of the two files changed.

        :exc:`TableError`, once, for a change that leaves no valid table; the table from before stays.
        """
        if self._original.changed():
            self._rewriter.adopt(self._reload(self._original.path).text)
        if not self._copy.changed():
            return None
        self.table = self._reload(self._copy.path)
        return self.table

    def _reload(self, path: Path) -> Table:
        try:
            return table.load(path)
        except TableError as error:
            reason = f"{error.reason}; still serving the last good version"
            raise TableError(path, reason, error.position) from None
