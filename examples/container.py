"""A dependency container: all threads resolve one shared database, while its provider is overridden and reset.

To resolve is to read an attribute in a section: no lock, and no reference count that the threads would share. Who
replaces the database waits for a grace period, and may then close the old one, for nobody uses it any more. A thread
gets the old database or the new one, never none, and what it got stays open until it leaves its section.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import rcu

THREADS = 4
DATABASES = 25  # that each thread must meet before it ends


class Database:
    """Stands for a pool of connections: whoever uses it after it was closed gets an error."""

    __slots__ = ("_open", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._open = True

    def query(self) -> str:
        if not self._open:
            raise RuntimeError(f"{self.name} was closed while a thread used it")
        return self.name

    def close(self) -> None:
        self._open = False


class Singleton:
    """A provider of one object for all; what it provided before is closed when nobody uses it any more."""

    def __init__(self, provider: Callable[[], Database]) -> None:
        self._provider = provider
        self._cell = rcu.Cell(provider())
        rcu.share(self)  # all threads load this object, too

    def resolve(self) -> Database:
        """To be used within a section of the default domain."""
        return self._cell.value

    def override(self, provider: Callable[[], Database]) -> None:
        with self._cell.replace(provider()) as old:  # the body runs after a grace period
            old.close()

    def reset(self) -> None:
        self.override(self._provider)


class Container:
    """What the program's parts are made of; the threads share one."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self.database = Singleton(database)
        rcu.share(self)


def serve(container: Container) -> tuple[int, int]:
    """Handles requests until it has met enough databases; how many requests and databases there were."""
    requests = 0
    met: set[str] = set()
    while len(met) < DATABASES:
        with rcu.default_domain:
            database = container.database.resolve()
            met.add(database.query())
            if database.query() not in met:
                raise RuntimeError("two queries of one request went to two databases")
        requests += 1
    return requests, len(met)


def main() -> None:
    number = itertools.count(1)
    container = Container(lambda: Database(f"database {next(number)}"))
    replaced = 0
    with ThreadPoolExecutor(THREADS) as threads:
        served = [threads.submit(serve, container) for _ in range(THREADS)]
        while not all(each.done() for each in served):
            container.database.override(lambda: Database(f"stand-in {next(number)}"))
            container.database.reset()
            replaced += 2
    requests, met = zip(*(each.result() for each in served), strict=True)
    print(f"{sum(requests)} requests of {THREADS} threads resolved the database, which was replaced {replaced} times")
    print(f"each thread met {min(met)} databases or more; none was closed while in use")


if __name__ == "__main__":
    main()
