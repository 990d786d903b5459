"""Loops that quiesce their thread before they block, and what debug mode says of sections that last across an await."""

import asyncio
import contextlib
import gc
import logging
import selectors
import threading
import weakref

import pytest
import trio

import rcu
import rcu.aio
from loops import OnAsyncio, Suspensions, echo
from rcu import diagnostics
from rcu.aio import quiesce_on_pending, quiesce_when_idle
from threads import PATIENCE, beside

# ---- quiesce_when_idle ---------------------------------------------------------------------------------------


@pytest.fixture
def quiesced(monkeypatch):
    """Threads that loops have quiesced, in order; `held` says whether they are in a section."""
    calls = Suspensions()
    calls.threads = []

    def quiesce_thread():
        calls.threads.append(threading.get_ident())
        return calls()

    monkeypatch.setattr(rcu.aio, "quiesce_thread", quiesce_thread)
    return calls


async def idle():
    """Makes the loop block for I/O: another thread wakes it once it is about to."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    blocks = threading.Event()
    select = loop._selector.select

    def observed(timeout=None):
        if timeout is None or timeout > 0:
            blocks.set()
        return select(timeout)

    def wake():
        assert blocks.wait(PATIENCE)
        loop.call_soon_threadsafe(future.set_result, None)

    loop._selector.select = observed
    waker = threading.Thread(target=wake)
    waker.start()
    await future
    waker.join()
    loop._selector.select = select


def test_a_loop_quiesces_before_it_blocks(quiesced):
    async def main():
        quiesce_when_idle()
        quiesce_when_idle(asyncio.get_running_loop())
        for _ in range(10):
            await asyncio.sleep(0)
        assert quiesced.count == 0
        await idle()
        assert quiesced.count == 1
        await asyncio.sleep(0.001)
        assert quiesced.count >= 2

    asyncio.run(main())
    assert set(quiesced.threads) == {threading.get_ident()}


def test_a_loop_of_another_thread_that_does_not_run_yet(quiesced):
    loop = asyncio.new_event_loop()
    quiesce_when_idle(loop)
    with beside(loop.run_until_complete, idle()) as thread:
        pass
    assert quiesced.threads == [thread.ident]
    loop.close()
    ended = weakref.ref(loop)
    del loop, thread
    gc.collect()
    assert ended() is None


def test_other_loops_go_on_as_they_were(quiesced):
    asyncio.run(idle())
    assert quiesced.count == 0


def test_an_interrupt_passes(monkeypatch):
    """Where Python handles a signal: in quiesce_thread, or in select. The loop goes on if one lets it."""

    class Selector(selectors.DefaultSelector):
        place = None

        def select(self, timeout=None):
            if (timeout is None or timeout > 0) and Selector.place == "select":
                raise KeyboardInterrupt("select")
            return super().select(0)

    def quiesce_thread():
        if Selector.place == "quiesce":
            raise KeyboardInterrupt("quiesce")
        return False

    monkeypatch.setattr(rcu.aio, "quiesce_thread", quiesce_thread)
    with contextlib.closing(asyncio.SelectorEventLoop(Selector())) as loop:
        quiesce_when_idle(loop)
        for place in "quiesce", "select":
            Selector.place = place
            with pytest.raises(KeyboardInterrupt, match=place):
                loop.run_forever()
        Selector.place = None
        assert loop.run_until_complete(asyncio.sleep(0, "well")) == "well"


def test_no_loop_to_quiesce():
    with pytest.raises(rcu.RcuError, match=r"without a loop in thread '.*asyncio\.run\(\).*on trio"):
        quiesce_when_idle()
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(rcu.RcuError, match=r"closed: <.*closed=True"):
        quiesce_when_idle(loop)


class Polling(asyncio.SelectorEventLoop):
    """As those of GUI libraries: what blocks is another loop."""

    def _run_once(self):
        raise AssertionError


class Foreign(asyncio.AbstractEventLoop):
    pass


@pytest.mark.parametrize("make", [Polling, Foreign, object])
def test_loops_that_do_not_show_when_they_are_idle(make):
    loop = make()
    with pytest.raises(TypeError, match=rf"{make.__name__}; use quiesce_on_pending\(\)"):
        quiesce_when_idle(loop)
    if make is Polling:
        loop.close()


# ---- debug mode ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["RCU_DEBUG", "asyncio", None])
def test_a_task_that_suspends_in_a_section(library, records, monkeypatch, how):
    if how == "RCU_DEBUG":
        monkeypatch.setattr(diagnostics, "debug", True)
    suspended = Suspensions(held=True)

    async def work():
        for _ in range(3):
            await library.turn()

    async def main():
        if library is OnAsyncio:
            asyncio.get_running_loop().set_debug(how == "asyncio")
            asyncio.current_task().set_name("the task")
        else:
            trio.lowlevel.current_task().name = "the task"
        await quiesce_on_pending(work(), suspended)
        await quiesce_on_pending(work(), suspended)
        suspended.held = False
        await quiesce_on_pending(work(), suspended)

    library.run(main)
    assert suspended.count == 9
    if how is None or (how == "asyncio" and library is not OnAsyncio):
        assert not records
        return
    assert len(records) == 2, "one of each awaitable"
    record = records[0]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("task 'the task' suspends while thread ")
    assert "lasts across an await, and blocks every updater" in record.getMessage()
    assert record.rcu_task == "the task"
    assert record.rcu_threads == [(threading.get_ident(), threading.get_native_id())]


def test_a_coroutine_without_a_task(records, monkeypatch):
    monkeypatch.setattr(diagnostics, "debug", True)
    coroutine = quiesce_on_pending(echo("a"), Suspensions(held=True))
    coroutine.send(None)
    coroutine.close()
    assert records[0].getMessage().startswith("a coroutine suspends while thread ")
    assert records[0].rcu_task is None


def test_a_loop_that_is_idle_in_a_section(records, quiesced):
    async def main():
        asyncio.get_running_loop().set_debug(True)
        quiesce_when_idle()
        quiesced.held = True
        await idle()
        await idle()
        assert len(records) == 1, "one, until it was outside again"
        quiesced.held = False
        await idle()
        quiesced.held = True
        await idle()
        quiesced.held = False

    asyncio.run(main())
    assert len(records) == 2
    assert "EventLoop" in records[0].getMessage()
    assert "waits for I/O while thread " in records[0].getMessage()
    assert records[0].rcu_task is None


@pytest.mark.parametrize(("value", "debug"), [("1", "True"), ("0", "False"), ("", "False")])
def test_the_environment_says_whether_to_debug(script, value, debug):
    assert script("import rcu.diagnostics as d; print(d.debug)", RCU_DEBUG=value) == debug + "\n"
