"""Threads that end together."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Crew:
    """Context manager: on leaving it, however that happens, its threads are told to stop and are joined.

    The first exception of a thread stops the others; it is raised on leaving, unless another one is on its
    way.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self, name: str, func: Callable[..., None], /, *args: object) -> None:
        """Run ``func(*args)`` in a thread; it returns soon after :attr:`stop` is set."""
        thread = threading.Thread(target=self._run, args=(func, *args), name=name)
        thread.start()
        self._threads.append(thread)

    def _run(self, func: Callable[..., None], /, *args: object) -> None:
        try:
            func(*args)
        except BaseException as error:
            self._errors.append(error)
            self.stop.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._errors:
            raise self._errors[0]
