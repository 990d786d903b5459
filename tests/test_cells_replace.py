"""Replaced: the old value, and the wait for the grace period after which it may be freed."""

import asyncio
import gc
import threading
import weakref

import pytest
import trio
import trio.testing

import rcu
from loops import OnAsyncio
from payloads import Deaths, Thing
from threads import PATIENCE, Holder, beside, eventually, together


@pytest.fixture
def cell(domain):
    return rcu.Cell("old", domain=domain)


def test_it_holds_the_old_value(cell):
    replaced = cell.replace("new")
    assert type(replaced) is rcu.Replaced
    assert cell.value == "new"
    assert replaced.value == "old"
    assert repr(replaced) == f"<rcu.Replaced str in domain {cell.domain.name!r}>"
    assert replaced.wait() == "old"
    assert replaced.value == "old"
    assert replaced.wait(0) == "old"


def test_the_body_begins_after_the_grace_period(domain, cell):
    order = []

    def work():
        replaced = cell.replace("new")
        assert cell.value == "new"
        with replaced as old:
            order.append("body")
            assert old == "old"
            assert replaced.done

    with Holder(domain, lambda: order.append("left")) as reader, beside(work) as worker:
        eventually(lambda: cell.value == "new")
        eventually(lambda: domain.stats().heavy_barriers)
        worker.join(0.01)
        assert worker.is_alive()
        assert not order
        reader.log.clear()
        reader.leave()
        worker.join(PATIENCE)
    assert "body" in order


def test_the_body_may_raise(cell):
    with pytest.raises(KeyError), cell.replace("new") as old:
        raise KeyError(old)
    assert cell.value == "new"


def test_the_wait_may_time_out(domain, cell):
    with Holder(domain) as reader:
        replaced = cell.replace("new")
        for timeout in 0, 0.01, 0:
            with pytest.raises(TimeoutError, match=domain.name):
                replaced.wait(timeout)
            assert not replaced.done
            assert replaced.value == "old"
        reader.leave()
        assert replaced.wait(PATIENCE) == "old"
    assert replaced.done


@pytest.mark.parametrize(
    ("timeout", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), ([], TypeError)]
)
def test_a_bad_timeout(cell, timeout, error):
    replaced = cell.replace("new")
    with pytest.raises(error, match="timeout"):
        replaced.wait(timeout)
    assert replaced.wait(PATIENCE) == "old"


def test_a_wait_in_a_section(domain, cell):
    other = rcu.Domain()
    with domain:
        replaced = cell.replace("new")
        with pytest.raises(rcu.DeadlockError, match=domain.name):
            replaced.wait()
        with pytest.raises(rcu.DeadlockError), replaced:
            raise AssertionError("the body began")
        with pytest.raises(rcu.DeadlockError):
            asyncio.run(wait_for(replaced))
        assert replaced.done is False
        assert replaced.value == "old"
    with other:
        assert replaced.wait(PATIENCE) == "old"
    with domain:
        # It is over: nobody would wait.
        assert replaced.done


def test_done_never_blocks(domain, cell):
    with Holder(domain) as reader:
        replaced = cell.replace("new")
        for _ in range(100):
            assert replaced.done is False
        reader.leave()
        eventually(lambda: replaced.done)
    assert replaced.done is True
    with Holder(domain):
        assert replaced.done is True
        assert replaced.wait(0) == "old"


def test_a_section_that_began_later_is_not_waited_for(domain, cell):
    with Holder(domain) as first:
        replaced = cell.replace("new")
        assert not replaced.done
        with Holder(domain):
            first.leave()
            assert replaced.wait(PATIENCE) == "old"


def test_what_is_over_is_not_waited_for_again(domain, cell):
    replaced, other = cell.replace("new"), cell.replace("newer")
    assert replaced.done
    with Holder(domain):
        assert replaced.wait(0) == "old"
        with replaced as old:
            assert old == "old"
        assert other.wait(0) == "new", "the same grace period was good for both"


def test_it_may_be_used_by_another_thread(domain, cell):
    replaced = cell.replace("new")
    with Holder(domain):
        pass

    def use():
        assert replaced.wait(PATIENCE) == "old"
        with replaced as old:
            return old

    assert together(use, use, use) == ["old"] * 3


def test_it_may_be_used_again(domain, cell):
    replaced = cell.replace("new")
    for _ in range(2):
        with replaced as old:
            assert old == "old"
        assert replaced.wait(0) == "old"
    with domain, pytest.raises(rcu.DeadlockError):
        rcu.Cell(1, domain=domain).replace(2).wait()


def test_what_cannot_be_set(cell):
    replaced = cell.replace("new")
    for name in "value", "done", "nonsense":
        with pytest.raises(AttributeError):
            setattr(replaced, name, None)
    assert replaced.wait(PATIENCE) == "old"


def test_two_at_once(domain, cell):
    with Holder(domain) as reader:
        one, other = cell.replace("second"), cell.replace("third")
        assert (one.value, other.value) == ("old", "second")
        reader.leave()
        assert other.wait(PATIENCE) == "second"
        assert one.wait(0) == "old"


def test_what_was_waited_for_is_the_callers(domain):
    """Who has waited may keep it for as long as they like."""
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=False)
    with cell.replace(None) as old:
        assert domain.stats().pending == 0
        assert old.name == "old"
    domain.barrier(PATIENCE)
    gc.collect()
    assert old.name == "old"
    assert deaths.log == []
    del old
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and deaths.log == ["old"])


def test_a_value_that_is_replaced_by_itself(domain):
    thing = Thing()
    ref = weakref.ref(thing)
    cell = rcu.Cell(thing, domain=domain)
    replaced = cell.replace(thing)
    assert replaced.value is thing
    del replaced, thing
    domain.barrier(PATIENCE)
    gc.collect()
    assert cell.value is ref() is not None


def test_many_threads_replace(domain):
    cell = rcu.Cell([0, 0], domain=domain)

    def work(k):
        found = []
        for i in range(100):
            with cell.replace([k, i]) as old:
                found.append(tuple(old))
                old[:] = "freed"
        return found

    found = sum(together(*(lambda k=k: work(k) for k in range(1, 5))), [(*cell.value,)])
    assert len({*found}) == len(found) == 401


# ---- awaits ---------------------------------------------------------------------------------------------------------


async def wait_for(replaced):
    return await replaced


def test_each_await_is_a_checkpoint_of_trio(cell):
    """Whether or not there is anything to wait for."""

    async def main():
        replaced = cell.replace("new")
        for _ in range(3):
            with trio.testing.assert_checkpoints():
                await replaced
            with trio.testing.assert_checkpoints():
                await replaced.__aenter__()
        with trio.move_on_after(0) as scope:
            await replaced
        assert scope.cancelled_caught

    trio.run(main)


def test_it_can_be_awaited(library, cell):
    async def main():
        replaced = cell.replace("new")
        assert await replaced == "old"
        assert replaced.done
        assert await replaced == "old"
        async with cell.replace("newer") as old:
            assert old == "new"
        with pytest.raises(KeyError):
            async with cell.replace("newest"):
                raise KeyError

    library.run(main)
    assert cell.value == "newest"


def test_an_await_lets_others_run(library, domain, cell):
    order = []

    async def main():
        async with library.tasks() as start:

            async def wait(how):
                replaced = cell.replace("new")
                if how == "await":
                    await replaced
                else:
                    async with replaced:
                        assert replaced.done
                order.append(how)

            start(lambda: wait("await"))
            start(lambda: wait("async with"))
            while not domain.stats().heavy_barriers:
                await library.turn()
            assert order == []
            reader.leave()

    with Holder(domain) as reader:
        library.run(main)
    assert sorted(order) == ["async with", "await"]


def test_a_cancelled_await(library, domain, cell):
    """The value stays replaced, and may be awaited again."""
    ended = []

    async def main():
        replaced = cell.replace("new")

        async def wait():
            try:
                await replaced
            except library.cancelled:
                ended.append("cancelled")
                raise

        async with library.tasks() as start:
            cancel = start(wait)
            while not domain.stats().heavy_barriers:
                await library.turn()
            await library.turn()
            cancel()
            while not ended:
                await library.turn()
            assert not replaced.done
            reader.leave()
        assert await replaced == "old"

    with Holder(domain) as reader:
        library.run(main)
    assert ended == ["cancelled"]
    assert cell.value == "new"


def test_a_task_that_is_cancelled_and_drops_it(library, domain):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=False)

    async def main():
        async def wait():
            async with cell.replace(None):
                raise AssertionError("the body began")

        async with library.tasks() as start:
            cancel = start(wait)
            while not domain.stats().heavy_barriers:
                await library.turn()
            cancel()

    with Holder(domain) as reader:
        library.run(main)
        gc.collect()
        assert deaths.log == []
        reader.leave()
        domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and deaths.log == ["old"])


def test_as_a_future_of_asyncio(cell):
    async def main():
        return await asyncio.wait_for(cell.replace("new"), PATIENCE), await asyncio.gather(cell.replace("newer"))

    assert asyncio.run(main()) == ("old", ["new"])


def test_outside_of_any_loop(domain, cell):
    with Holder(domain):
        replaced = cell.replace("new")
        coroutine = wait_for(replaced)
        with pytest.raises(rcu.RcuError, match=r"asyncio\.run\(\) or trio\.run\(\)"):
            coroutine.send(None)
        assert not replaced.done
    assert replaced.wait(PATIENCE) == "old"


def test_a_replaced_that_is_never_awaited_warns_of_nothing(domain, cell):
    cell.replace("new")
    gc.collect()
    domain.barrier(PATIENCE)


def test_awaits_in_several_loops(domain, cell):
    """Of one and the same: it is no coroutine, which could be awaited once."""
    with Holder(domain) as reader:
        replaced = cell.replace("new")

        def on_asyncio():
            return asyncio.run(wait_for(replaced))

        def on_trio():
            return trio.run(wait_for, replaced)

        def leave():
            eventually(lambda: domain.stats().heavy_barriers)
            reader.leave()

        assert together(on_asyncio, on_trio, on_asyncio, replaced.wait, leave)[:4] == ["old"] * 4


def test_a_server_that_replaces_while_it_reads(domain):
    """Tasks read in sections, of one turn each; another one replaces and frees what they no longer see."""
    cell = rcu.Cell({"version": 0, "open": True}, domain=domain)
    reads = [0]

    async def main():
        stop = OnAsyncio.Event()

        async def read():
            while not stop.is_set():
                with domain:
                    assert cell.value["open"]
                    reads[0] += 1
                await OnAsyncio.turn()

        async with OnAsyncio.tasks() as start:
            for _ in range(5):
                start(read)
            for i in range(1, 200):
                async with cell.replace({"version": i, "open": True}) as old:
                    assert old["version"] == i - 1
                    old["open"] = False
            stop.set()

    asyncio.run(main())
    assert reads[0] > 200
    assert cell.value["version"] == 199


def test_waits_end_for_a_thread_that_is_a_reclaimer(domain, cell):
    """A callback may replace, and wait: that needs a grace period, and no reclaimer."""
    found = []
    domain.call(lambda: found.append(cell.replace("new").wait(PATIENCE)))
    domain.barrier(PATIENCE)
    assert found == ["old"]


def test_threads_end_while_they_hold_one(domain):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make(0), domain=domain, deferred=False)

    def work():
        here = threading.local()
        here.replaced = cell.replace(deaths.make(1))

    for _ in range(20):
        with beside(work):
            pass
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 20)
