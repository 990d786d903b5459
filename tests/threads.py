"""Starts threads together and re-raises what they raise."""

import contextlib
import os
import threading

PATIENCE = 60.0 * float(os.environ.get("RCU_TEST_SLOWNESS", "1"))
"""Seconds after which a test that waits gives up: no measure of anything, only the end of a hang. Under a sanitizer,
the interpreter is several times slower."""


def together(*functions):
    """Runs the functions on threads of their own that start at once; returns their results in order."""
    barrier = threading.Barrier(len(functions))
    results = [None] * len(functions)
    errors = []

    def work(i, function):
        try:
            barrier.wait(PATIENCE)
            results[i] = function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(functions)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    if errors:
        raise errors[0]
    assert not any(worker.is_alive() for worker in workers), "a thread hangs"
    return results


@contextlib.contextmanager
def beside(function, *args):
    """Runs the function on a thread beside the body, and joins it after; what it raises, the context raises."""
    errors = []

    def work():
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield worker
    finally:
        worker.join(PATIENCE)
    if errors:
        raise errors[0]
    assert not worker.is_alive(), "a thread hangs"


HELD = """
import os, threading, rcu

domain = rcu.Domain()
entered, leave = threading.Event(), threading.Event()

def hold():
    with domain:
        entered.set()
        leave.wait()

worker = threading.Thread(target=hold, daemon=True)
worker.start()
entered.wait()
"""
"""The begin of a script: a thread is in a section of `domain` until `leave` is set."""


class Holder:
    """A thread that is in a section of the domain while the context lasts, or until it is told to leave it.

    `then` is called by the thread after the section, and the thread stays until the context ends.
    """

    def __init__(self, domain, then=lambda: None):
        self.domain = domain
        self.then = then
        self.entered = threading.Event()
        self.may_leave = threading.Event()
        self.left = threading.Event()
        self.may_end = threading.Event()
        self.log = []

    def _work(self):
        with self.domain:
            self.entered.set()
            assert self.may_leave.wait(PATIENCE)
            self.log.append("leaves")
        self.then()
        self.left.set()
        assert self.may_end.wait(PATIENCE)

    def leave(self):
        """Makes it leave the section, and returns when it has."""
        self.may_leave.set()
        assert self.left.wait(PATIENCE)

    def __enter__(self):
        self._context = beside(self._work)
        self.thread = self._context.__enter__()
        assert self.entered.wait(PATIENCE)
        return self

    def __exit__(self, *error):
        self.may_leave.set()
        self.may_end.set()
        return self._context.__exit__(*error)


def eventually(predicate):
    """Waits for something that no event announces."""
    pause = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        if predicate():
            return
        pause.wait(0.001)
    raise AssertionError("waited in vain")
