"""Where one may defer from: anywhere. A destructor, a signal handler, a thread that nobody waits for or that ends."""

import gc
import signal
import threading
import weakref

import pytest

import rcu
from threads import PATIENCE, Holder, beside, eventually, together

needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals to threads")


class Thing:
    """Something that a weak reference may refer to."""


@pytest.fixture
def on_signal():
    """Makes a function the handler of a signal; returns what sends it to the main thread."""
    before = signal.getsignal(signal.SIGUSR1)

    def install(handle):
        signal.signal(signal.SIGUSR1, lambda *_: handle())
        return lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    yield install
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("in_section", [False, True])
def test_destructors(domain, in_section):
    ran = []

    class Dying:
        def __del__(self):
            domain.call(ran.append, 1)
            domain.retire([])

    def work():
        for _ in range(500):
            Dying()

    if in_section:
        with domain:
            work()
    else:
        work()
    domain.barrier(PATIENCE)
    assert len(ran) == 500


def test_destructors_of_what_is_retired(domain):
    """They run on the reclaimer's thread, in the midst of a batch."""
    ran = []

    class Dying:
        def __init__(self, depth):
            self.depth = depth

        def __del__(self):
            ran.append(self.depth)
            if self.depth:
                domain.retire(Dying(self.depth - 1))

    for _ in range(50):
        domain.retire(Dying(5))
    eventually(lambda: len(ran) == 300)
    domain.barrier(PATIENCE)
    assert domain.stats().callbacks_run == 300


def test_weak_references_callbacks(domain):
    ran = []
    things = [Thing() for _ in range(200)]
    refs = [weakref.ref(thing, lambda ref: domain.call(ran.append, ref)) for thing in things]
    del things
    domain.barrier(PATIENCE)
    eventually(lambda: len(ran) == 200)
    assert {id(ref) for ref in ran} == {id(ref) for ref in refs}


def test_the_collector(domain):
    ran = []

    class Cycle:
        def __init__(self):
            self.me = self

        def __del__(self):
            domain.call(ran.append, 1)

    def collected(phase, _):
        domain.call(ran.append, phase)

    gc.callbacks.append(collected)
    try:
        for _ in range(20):
            Cycle()
        gc.collect()
    finally:
        gc.callbacks.remove(collected)
    domain.barrier(PATIENCE)
    assert ran.count(1) == 20
    assert ran.count("start") == ran.count("stop") >= 1


def test_the_end_of_a_thread(domain):
    """The destructors of a thread's local variables defer, when it may have left the domain already."""
    ran = []

    class Dying:
        def __del__(self):
            domain.call(ran.append, 1)

    def work():
        here = threading.local()
        here.dying = Dying()
        domain.call(ran.append, 0)

    for _ in range(50):
        with beside(work):
            pass
    eventually(lambda: ran.count(1) == 50)
    domain.barrier(PATIENCE)
    assert ran.count(0) == 50
    assert domain.stats().pending == 0


def test_daemon_threads(domain):
    ran = []
    threads = [threading.Thread(target=domain.call, args=(ran.append, i), daemon=True) for i in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(ran) == 20)
    assert sorted(ran) == list(range(20))


def test_counts_of_threads_that_come_and_go(domain):
    """Each leaves its outbox behind; nothing in it is lost, or counted twice."""
    count = 100
    ran = []

    def work():
        for i in range(count):
            worker = threading.Thread(target=lambda i=i: [domain.call(ran.append, i), domain.retire([])])
            worker.start()
            worker.join(PATIENCE)

    together(*[work] * 3)
    domain.barrier(PATIENCE)
    assert sorted(ran) == sorted([*range(count)] * 3)
    stats = domain.stats()
    assert (stats.callbacks_run, stats.pending) == (6 * count, 0)


# ---- signal handlers ------------------------------------------------------------------------------------------------


@needs_signals
@pytest.mark.parametrize("waits", ["synchronize", "barrier", "backlog"])
def test_a_signal_handler_while_its_thread_waits(domain, on_signal, waits):
    ran = []
    handled = []

    def handle():
        domain.call(ran.append, "handler")
        domain.retire([])
        handled.append(1)

    send = on_signal(handle)
    if waits == "backlog":
        domain.backlog_limit = 3

    def interrupt(reader):
        if waits == "backlog":
            # The handler needs room as well, unless there is some.
            eventually(lambda: domain.stats().pending >= 3)
            domain.backlog_limit = 10
        else:
            eventually(lambda: domain.stats().heavy_barriers)
        for i in range(3):
            send()
            eventually(lambda i=i: len(handled) > i)
        reader.leave()

    with Holder(domain) as reader, beside(interrupt, reader):
        if waits == "synchronize":
            domain.synchronize()
        elif waits == "barrier":
            domain.call(ran.append, "before")
            domain.barrier()
        else:
            for _ in range(3):
                domain.call(ran.append, "before")
            domain.call(ran.append, "after")
            domain.barrier()
    domain.barrier(PATIENCE)
    assert ran.count("handler") == 3
    if waits == "backlog":
        assert ran.count("before") == 3
        assert ran.count("after") == 1


@needs_signals
def test_a_signal_handler_amid_calls(domain, on_signal):
    """Wherever in call() the main thread is: its own callbacks stay in order, and so do the handler's."""
    handler, main, handled = [], [], []

    def handle():
        domain.call(handler.append, len(handled))
        handled.append(1)

    send = on_signal(handle)
    stop = threading.Event()

    def interrupt():
        for i in range(10**9):
            send()
            eventually(lambda i=i: len(handled) > i)
            if stop.is_set():
                return

    with beside(interrupt):
        count = 0
        while len(handler) < 100:
            for _ in range(100):
                domain.call(main.append, count)
                count += 1
        stop.set()
    domain.barrier(PATIENCE)
    assert main == list(range(count))
    assert handler == list(range(len(handler)))
    assert len(handler) >= 100


@needs_signals
def test_a_signal_handler_that_raises_ends_a_barrier(domain, on_signal):
    class Signalled(Exception):
        pass

    def handle():
        raise Signalled

    send = on_signal(handle)
    ran = []

    waits = threading.Event()

    def interrupt():
        assert waits.wait(PATIENCE)
        send()

    with Holder(domain):
        domain.call(ran.append, 1)
        with beside(interrupt), pytest.raises(Signalled):
            waits.set()
            domain.barrier()
        assert domain.stats().pending == 1
    domain.barrier(PATIENCE)
    assert ran == [1]


# ---- from several threads onto one domain, from one thread onto several ---------------------------------------------


def test_one_thread_and_many_domains():
    domains = [rcu.Domain() for _ in range(20)]
    ran = [[] for _ in domains]
    for i in range(300):
        for domain, order in zip(domains, ran, strict=True):
            domain.call(order.append, i)
    for domain in domains:
        domain.barrier(PATIENCE)
    assert ran == [list(range(300))] * 20


def test_a_domain_defers_to_others_for_ever(domain):
    """Callbacks that are handed on around a ring of domains: each is awake when the other would sleep."""
    ring = [domain, *(rcu.Domain() for _ in range(3))]
    ran = []
    done = threading.Event()

    def hand_on(n):
        ran.append(n)
        if n == 2000:
            done.set()
        else:
            ring[n % 4].call(hand_on, n + 1)

    ring[0].call(hand_on, 0)
    assert done.wait(PATIENCE)
    assert ran == list(range(2001))
