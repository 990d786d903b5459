"""Awaits on domains, under asyncio and trio: grace periods and barriers without a thread for each, and two servers."""

import asyncio
import functools
import os
import threading

import pytest
import trio

import rcu
from loops import OnAsyncio, OnTrio
from threads import PATIENCE, Holder, eventually

MANY = 10_000


def native_threads():
    """Threads of this process, those unknown to Python included."""
    return len(os.listdir("/proc/self/task"))


async def started(library, domain):
    """Returns once a grace period of the domain is under way and waits for a reader."""
    while not domain.stats().heavy_barriers:
        await library.turn()


@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_without_readers(library, domain, what):
    async def main():
        for _ in range(5):
            assert await getattr(domain, what)() is None

    library.run(main)
    if what == "synchronize_async":
        assert domain.stats().grace_periods >= 5


@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_with_a_reader(library, domain, what):
    order = []

    async def main():
        async with library.tasks() as start:

            async def wait():
                domain.call(order.append, "called")
                await getattr(domain, what)()
                order.append("awaited")

            start(wait)
            await started(library, domain)
            assert order == []
            reader.leave()

    with Holder(domain, lambda: order.append("leaves")) as reader:
        # The holder's log says "leaves" before its section ends; then() comes after.
        library.run(main)
    domain.barrier(PATIENCE)
    assert set(order) == {"leaves", "called", "awaited"}
    if what == "barrier_async":
        assert order.index("called") < order.index("awaited")


def test_all_that_was_deferred_has_run(library, domain):
    async def main():
        for i in range(50):
            ran = []
            domain.call(ran.append, i)
            await domain.barrier_async()
            assert ran == [i]
            domain.retire([])

    library.run(main)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux lists them")
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_many_awaits_share(library, domain, held, what):
    """A handful of grace periods, and one thread."""
    done = 0
    threads = []

    async def wait():
        nonlocal done
        await getattr(domain, what)()
        done += 1

    async def main():
        if what == "barrier_async":
            domain.call(int)
        before = native_threads()
        async with library.tasks() as start:
            for _ in range(MANY):
                start(wait)
            if held:
                await started(library, domain)
                threads.append(native_threads() - before)
                assert done == 0
                reader.leave()
        threads.append(native_threads() - before)

    if held:
        with Holder(domain) as reader:
            library.run(main)
    else:
        library.run(main)
    assert done == MANY
    assert domain.stats().grace_periods <= 10
    assert max(threads) <= 1


@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_cancellation(library, domain, what):
    """Of one of two who share a wait: the other one gets its grace period, and the domain works on."""
    ended = []

    async def main():
        async def wait(name):
            try:
                await getattr(domain, what)()
                ended.append(name)
            except library.cancelled:
                ended.append(f"{name} cancelled")
                raise

        domain.call(int)
        async with library.tasks() as start:
            cancel = start(functools.partial(wait, "one"))
            start(functools.partial(wait, "other"))
            await started(library, domain)
            await library.turn()
            cancel()
            while not ended:
                await library.turn()
            assert ended == ["one cancelled"]
            reader.leave()

    with Holder(domain) as reader:
        library.run(main)
    assert ended == ["one cancelled", "other"]
    domain.barrier(PATIENCE)
    library.run(domain.synchronize_async)


def test_a_loop_that_ends_amid_a_wait(library, domain):
    """Its wait is called back later, when nobody is there."""

    async def main():
        async with library.tasks() as start:
            cancels = [start(domain.synchronize_async), start(domain.barrier_async)]
            domain.call(int)
            await started(library, domain)
            for cancel in cancels:
                cancel()

    with Holder(domain) as reader:
        library.run(main)
        reader.leave()
        domain.barrier(PATIENCE)
        library.run(domain.synchronize_async)


def test_stalls_are_reported(library, domain, records):
    domain.stall_timeout = 0.01

    async def main():
        async with library.tasks() as start:
            start(domain.synchronize_async)
            while not records:
                await library.turn()
            reader.leave()

    with Holder(domain) as reader:
        library.run(main)
    assert records[0].category is rcu.StallWarning
    assert records[0].rcu_domain == domain.name
    assert [ident for ident, _ in records[0].rcu_threads] == [reader.thread.ident]


@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_in_a_section(library, domain, what):
    async def main():
        with domain, pytest.raises(rcu.DeadlockError, match=rf"{what}\(\) by .* 1 nested section"):
            await getattr(domain, what)()
            # Nor may the section begin between the call and the await.
        awaitable = getattr(domain, what)()
        with domain, pytest.raises(rcu.DeadlockError, match=what):
            await awaitable
        await getattr(domain, what)()

    library.run(main)


@pytest.mark.parametrize("what", ["synchronize_async", "barrier_async"])
def test_without_a_loop(domain, what):
    with pytest.raises(rcu.RcuError, match=rf"{what}\(\) is awaited in .* neither asyncio nor trio"):
        getattr(domain, what)().send(None)


def test_many_loops_and_one_domain(domain):
    """Each in a thread of its own, of either library, with calls between."""
    ran = []

    async def main():
        for i in range(30):
            domain.call(ran.append, i)
            await domain.synchronize_async()
            await domain.barrier_async()

    threads = [threading.Thread(target=kind.run, args=(main,)) for kind in (OnAsyncio, OnTrio) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(ran) == sorted([*range(30)] * 4)


def test_quiesce_on_pending(library, domain):
    """The thread of a coroutine that reads, and then waits, costs updaters nothing meanwhile."""
    event = threading.Event()

    async def read():
        with domain:
            pass
        while not event.is_set():
            await library.turn()
        return "read"

    async def main():
        async with library.tasks() as start:
            results = []

            async def run():
                results.append(await domain.quiesce_on_pending(read()))

            start(run)
            await library.turn()
            await library.turn()
            assert domain.stats().parked_threads == domain.stats().threads == 1
            event.set()
        assert results == ["read"]

    library.run(main)


# ---- servers -------------------------------------------------------------------------------------------------------


class Config:
    """A version of what the server answers with; dead once nobody may see it any more."""

    def __init__(self, number):
        self.number = number
        self.dead = False


class Site:
    """What handlers read in sections, and an updater replaces."""

    def __init__(self, domain):
        self.domain = domain
        self.config = Config(0)
        self.answered = 0
        self.overlapped = 0
        self.updating = False

    def answer(self):
        with self.domain:
            config = self.config
            assert not config.dead
            number = config.number
            assert not config.dead
        self.answered += 1
        self.overlapped += self.updating
        return b"%d\n" % number

    async def update(self):
        old, self.config = self.config, Config(self.config.number + 1)
        self.updating = True
        await self.domain.synchronize_async()
        self.updating = False
        old.dead = True


REQUESTS, CLIENTS, UPDATES = 60, 8, 3


def goes_on(site, seen):
    """A client asks until it has seen enough, and until there were updates to see."""
    return len(seen) < REQUESTS or site.config.number < UPDATES or site.overlapped == 0


def judge(site, numbers, reader):
    """Whether all were answered, in an order that updates explain, and the race took place."""
    assert site.answered == sum(map(len, numbers)) >= REQUESTS * CLIENTS
    assert all(seen == sorted(seen) for seen in numbers)
    assert site.config.number >= UPDATES
    assert site.overlapped > 0
    assert reader.sections > 0


class Reader:
    """Reads the site in a thread beside the server's, where a section may be open at any time."""

    def __init__(self, site):
        self.site = site
        self.sections = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.failed = []

    def read(self):
        while not self.stop.is_set():
            with self.site.domain:
                config = self.site.config
                for _ in range(50):
                    if config.dead:
                        self.failed.append(config.number)
            self.sections += 1

    def __enter__(self):
        self.thread.start()
        eventually(lambda: self.sections)
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join(PATIENCE)
        assert self.failed == []


def test_an_asyncio_server(domain):
    site = Site(domain)
    numbers = [[] for _ in range(CLIENTS)]

    async def handle(reader, writer):
        while await reader.readline():
            writer.write(site.answer())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def client(port, seen):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while goes_on(site, seen):
            writer.write(b"?\n")
            seen.append(int(await reader.readline()))
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.TaskGroup() as group:
                clients = [group.create_task(client(port, seen)) for seen in numbers]
                while not all(task.done() for task in clients):
                    await site.update()
                    await asyncio.sleep(0)

    with Reader(site) as reader:
        asyncio.run(main())
    judge(site, numbers, reader)


def test_a_trio_server(domain):
    site = Site(domain)
    numbers = [[] for _ in range(CLIENTS)]

    async def handle(stream):
        async for _ in stream:
            await stream.send_all(site.answer())

    async def client(address, seen):
        async with await trio.open_tcp_stream(*address) as stream:
            while goes_on(site, seen):
                await stream.send_all(b"?\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    answer += await stream.receive_some()
                seen.append(int(answer))

    async def main():
        async with trio.open_nursery() as nursery:
            serve = functools.partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
            (listener,) = await nursery.start(serve)
            address = listener.socket.getsockname()
            done = trio.Event()

            async def clients():
                async with trio.open_nursery() as inner:
                    for seen in numbers:
                        inner.start_soon(client, address, seen)
                done.set()

            nursery.start_soon(clients)
            while not done.is_set():
                await site.update()
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    with Reader(site) as reader:
        trio.run(main)
    judge(site, numbers, reader)
