import logging
import os
import signal
import sys

import hypothesis
import pytest

import processes
import rcu
from consumers import Consumers
from loops import OnAsyncio, OnTrio, Wait
from rcu.aio import Waiters

# The same examples with each run: what fails, fails again. Threads take as long as they take.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture
def domain():
    return rcu.Domain()


@pytest.fixture
def signals():
    """Processes that are started meanwhile heed SIGINT, even where this one was started to ignore it, as a shell
    does with what it puts into the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def script():
    """Runs Python code in a process of its own, for what is dangerous or happens once; returns what it printed."""

    def run(code, *, check=True, **environment):
        done = processes.run(*processes.PYTHON, "-W", "ignore::DeprecationWarning", "-c", code, **environment)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout
        return done

    return run


@pytest.fixture(scope="session")
def consumers(tmp_path_factory):
    """A virtual environment with rcu from a wheel, in which tests/consumer/ is built: one for all workers."""
    base = tmp_path_factory.getbasetemp()
    return Consumers((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "consumers")


@pytest.fixture
def records():
    """What the package has logged."""
    found = []
    handler = logging.Handler()
    handler.emit = found.append
    logging.getLogger("rcu").addHandler(handler)
    yield found
    logging.getLogger("rcu").removeHandler(handler)


@pytest.fixture
def unraisable(monkeypatch):
    """What went to sys.unraisablehook: kind and text of each exception."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: found.append((it.exc_type, str(it.exc_value))))
    return found


@pytest.fixture(params=[OnAsyncio, OnTrio], ids=["asyncio", "trio"])
def library(request):
    return request.param


@pytest.fixture
def wait(library):
    return Wait(library)


@pytest.fixture
def waiters(wait):
    return Waiters(wait, "synchronize_async()")
