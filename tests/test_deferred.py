"""call, retire, barrier: what is deferred runs once, after its grace period, in order, on a thread of the domain."""

import functools
import gc
import itertools
import threading
import weakref

import pytest

import rcu
from rcu.bench._native import Heads, enqueue_heads
from threads import PATIENCE, Holder, beside, eventually, together

WORDS_OF_A_LOG = 122


class Thing:
    """Something that a weak reference may refer to."""


class Dying:
    """Calls a function when it dies."""

    def __init__(self, function, *args):
        self.function = function
        self.args = args

    def __del__(self):
        self.function(*self.args)


# ---- what is called -------------------------------------------------------------------------------------------------


def test_arguments_arrive(domain):
    calls = []

    def record(*args, **kwargs):
        calls.append((args, kwargs))

    domain.call(record)
    domain.call(record, 1, "two", [3])
    domain.call(record, key=1)
    domain.call(record, 1, 2, key=3, other=None)
    domain.call(record, **{"not a name": 1})
    domain.barrier(PATIENCE)
    assert calls == [
        ((), {}),
        ((1, "two", [3]), {}),
        ((), {"key": 1}),
        ((1, 2), {"key": 3, "other": None}),
        ((), {"not a name": 1}),
    ]


@pytest.mark.parametrize("count", [12, 13, 14, 16, WORDS_OF_A_LOG - 4, WORDS_OF_A_LOG - 3, WORDS_OF_A_LOG - 2, 1000])
def test_many_arguments(domain, count):
    """More than fit on the stack, than fit into what is left of a log, than fit into any."""
    calls = []

    def record(*args, **kwargs):
        calls.append((args, kwargs))

    names = {f"name{i}": i for i in range(count)}
    domain.call(record, 1)
    domain.call(record, *range(count))
    domain.call(record, **names)
    domain.call(record, *range(count), **names)
    domain.call(record, 2)
    domain.barrier(PATIENCE)
    numbers = tuple(range(count))
    assert calls == [((1,), {}), (numbers, {}), ((), names), (numbers, names), ((2,), {})]


def test_what_may_be_called(domain):
    calls = []

    class Callable:
        def __call__(self, value):
            calls.append(value)

        def method(self, value):
            calls.append(value)

    domain.call(calls.append, 1)
    domain.call(functools.partial(calls.append, 2))
    domain.call(Callable(), 3)
    domain.call(Callable().method, 4)
    domain.call(Callable)
    domain.call(lambda value=5: calls.append(value))
    domain.barrier(PATIENCE)
    assert calls == [1, 2, 3, 4, 5]


def test_arguments_are_freed_once_called(domain, unraisable):
    things = [Thing() for _ in range(5)]
    refs = [weakref.ref(thing) for thing in things]
    domain.call(lambda *_, **__: None, things[0], things[1], key=things[2])
    domain.call(functools.partial(int), things[3])  # fails
    domain.retire(things[4])
    domain.barrier(PATIENCE)
    assert len(unraisable) == 1
    assert None not in [ref() for ref in refs]
    del things
    # An object that this thread has made may have to be freed by it, once it looks.
    eventually(lambda: all(ref() is None for ref in refs))


def test_the_default_domain():
    calls = []
    rcu.call(calls.append, 1)
    rcu.retire(calls)
    rcu.barrier(PATIENCE)
    assert calls == [1]


# ---- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["call", "retire"])
def test_a_grace_period_is_awaited(domain, kind):
    ran = threading.Event()
    with Holder(domain) as reader:
        if kind == "call":
            domain.call(lambda: (reader.log.append("runs"), ran.set()))
        else:
            # What dies may have to be freed by the thread that made it, once it looks.
            domain.retire(Dying(lambda: (reader.log.append("runs"), ran.set())))
        with pytest.raises(TimeoutError):
            domain.barrier(timeout=0.01)
        assert not ran.is_set()
        assert domain.stats().pending == 1
        reader.leave()
        eventually(ran.is_set)
    assert reader.log == ["leaves", "runs"]


def test_each_of_many_awaits_its_grace_period(domain):
    """A reader that began before a call has left before it runs, at whatever batch it is caught."""
    versions = itertools.count()
    current = [next(versions)]
    freed = set()
    stop, begun = threading.Event(), threading.Event()

    def read():
        while not stop.is_set():
            with domain:
                version = current[0]
                # A version that this section can see is not freed until it ends.
                assert version not in freed
                assert version not in freed
            begun.set()

    def update():
        assert begun.wait(PATIENCE)
        for _ in range(3000):
            old, current[0] = current[0], next(versions)
            domain.call(freed.add, old)
        domain.barrier(PATIENCE)
        stop.set()

    together(read, update)
    assert len(freed) == 3000


def test_no_grace_period_is_awaited_in_the_callers_section_itself(domain):
    ran = []
    with domain:
        domain.call(ran.append, 1)
        domain.retire(object())
        assert domain.stats().pending == 2
        assert not ran
    domain.barrier(PATIENCE)
    assert ran == [1]


def test_other_domains_are_not_waited_for(domain):
    other = rcu.Domain()
    ran = []
    with Holder(domain):
        domain.call(ran.append, "held")
        other.call(ran.append, "free")
        other.barrier(PATIENCE)
        assert ran == ["free"]
    domain.barrier(PATIENCE)
    assert ran == ["free", "held"]


def test_it_runs_without_being_asked_for(domain):
    ran = threading.Event()
    domain.call(ran.set)
    assert ran.wait(PATIENCE)


def test_many_share_a_grace_period(domain):
    ran = []
    with Holder(domain):
        domain.call(ran.append, -1)
        eventually(lambda: domain.stats().heavy_barriers)
        for i in range(5000):
            domain.call(ran.append, i)
    domain.barrier(PATIENCE)
    assert ran == list(range(-1, 5000))
    # The period that was under way, and the one that the others needed; the first call may have been served by itself.
    assert domain.stats().grace_periods <= 4


def test_retire_in_a_loop_frees_in_batches(domain):
    freed = []
    count = 50_000
    domain.backlog_limit = 1000
    for i in range(count):
        domain.retire(Dying(freed.append, i))
    domain.barrier(PATIENCE)
    eventually(lambda: len(freed) == count)
    assert sorted(freed) == list(range(count))
    stats = domain.stats()
    assert stats.grace_periods > count / 1100
    assert 0 < stats.peak_pending <= 1000 + stats.threads + 1
    assert stats.callbacks_run == count


def test_retire_drops_one_reference(domain):
    thing = Thing()
    ref = weakref.ref(thing)
    domain.retire(thing)
    domain.retire(thing)
    domain.barrier(PATIENCE)
    gc.collect()
    assert ref() is thing
    domain.retire(thing)
    del thing
    domain.barrier(PATIENCE)
    eventually(lambda: ref() is None)


# ---- order ----------------------------------------------------------------------------------------------------------


def test_order_of_one_thread(domain):
    """Across logs, calls and references, and across its leaving the domain and coming back."""
    order = []
    count = 3 * WORDS_OF_A_LOG
    for i in range(count):
        if i % 3 == 0:
            domain.call(order.append, i)
        elif i % 3 == 1:
            domain.retire([])
            domain.call(functools.partial(order.append), i)
        else:
            domain.call(lambda *args: order.append(args[0]), i, *range(i))
        if i % 50 == 0:
            domain.unregister_thread()
    domain.barrier(PATIENCE)
    assert order == list(range(count))


@pytest.mark.parametrize("held", [True, False])
def test_order_and_counts_of_many_threads(domain, held):
    count = 2000
    order = [[] for _ in range(8)]

    def work(k):
        for i in range(count):
            domain.call(order[k].append, i)
            if i % 100 == k:
                domain.retire([])
            if i % 250 == k:
                domain.unregister_thread()

    if held:
        with Holder(domain):
            together(*(functools.partial(work, k) for k in range(8)))
            assert domain.stats().pending == 8 * (count + count // 100)
    else:
        together(*(functools.partial(work, k) for k in range(8)))
    domain.barrier(PATIENCE)
    assert order == [list(range(count))] * 8
    assert domain.stats().callbacks_run == 8 * (count + count // 100)


def test_order_of_a_thread_that_ended(domain):
    """What it left behind runs, and before what it is followed by."""
    order = []
    with Holder(domain):
        for i in range(20):
            with beside(domain.call, order.append, i):
                pass
        assert domain.stats().pending == 20
    domain.barrier(PATIENCE)
    assert order == list(range(20))


# ---- barriers -------------------------------------------------------------------------------------------------------


def test_barrier_without_work(domain):
    domain.barrier()
    domain.barrier(timeout=0)
    assert domain.stats().grace_periods == 0


def test_barrier_waits_for_what_other_threads_deferred(domain):
    for _ in range(200):
        ran = []
        with beside(domain.call, ran.append, 1):
            pass
        domain.barrier(PATIENCE)
        assert ran == [1]


def test_barriers_of_many_threads(domain):
    def work():
        for i in range(300):
            ran = []
            domain.call(ran.append, i)
            domain.barrier(PATIENCE)
            assert ran == [i]

    together(*[work] * 4)


def test_barrier_that_times_out(domain):
    with Holder(domain) as reader:
        domain.call(int)
        domain.retire([])
        with pytest.raises(TimeoutError, match=rf"barrier\(\) .* 0.01 s: 2 callback.*ident {reader.thread.ident}"):
            eventually(lambda: domain.stats().heavy_barriers)
            domain.barrier(0.01)
        with pytest.raises(TimeoutError, match="within 0 s"):
            domain.barrier(timeout=0)
        assert domain.stats().pending == 2
    domain.barrier(PATIENCE)
    assert domain.stats().pending == 0


@pytest.mark.parametrize(
    ("timeout", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), ([], TypeError)]
)
def test_barrier_with_a_bad_timeout(domain, timeout, error):
    with pytest.raises(error, match="timeout"):
        domain.barrier(timeout)


def test_barrier_in_a_section(domain):
    other = rcu.Domain()
    with domain:
        with pytest.raises(rcu.DeadlockError, match=r"barrier\(\) by .* 1 nested section"):
            domain.barrier()
        other.call(int)
        other.barrier(PATIENCE)
    domain.barrier(PATIENCE)


# ---- misuse ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [None, 5, "print", []])
def test_what_cannot_be_called(domain, thing):
    with pytest.raises(TypeError, match=f"callable.*{type(thing).__name__}"):
        domain.call(thing)
    assert domain.stats().pending == domain.stats().callbacks_run == 0


def test_arguments_that_are_missing(domain):
    for wrong in (domain.call, domain.retire, functools.partial(domain.call, func=int), rcu.call):
        with pytest.raises(TypeError, match="argument"):
            wrong()
    with pytest.raises(TypeError, match="argument"):
        domain.retire(1, 2)


# ---- polls, windows -------------------------------------------------------------------------------------------------


def test_deferred_work_completes_polls(domain):
    cookie = domain.start_poll()
    domain.call(int)
    domain.barrier(PATIENCE)
    assert domain.poll(cookie)


def test_batch_window(domain):
    assert domain.batch_window == 0.001
    for value in (0, 0.5, 1):
        domain.batch_window = value
        assert domain.batch_window == value
    for value, error in ((-1, ValueError), (1.1, ValueError), (float("nan"), ValueError), ("0", TypeError)):
        with pytest.raises(error, match="batch_window"):
            domain.batch_window = value
    with pytest.raises(TypeError, match="batch_window"):
        domain.batch_window = None
    assert domain.batch_window == 1


@pytest.mark.parametrize("window", [0, 1])
def test_a_barrier_does_not_wait_for_the_window(domain, window):
    domain.batch_window = window
    for _ in range(3):
        ran = []
        for i in range(100):
            domain.call(ran.append, i)
        domain.barrier(PATIENCE)
        assert ran == list(range(100))


# ---- below Python ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 10_000])
def test_heads(domain, count):
    enqueue_heads(domain, count)
    assert domain.stats().callbacks_run == count


def test_heads_and_logs_keep_their_order(domain):
    """The C callbacks that a thread enqueues between two of Python run between them."""
    found = []
    with Holder(domain):
        for _ in range(50):
            heads = Heads(domain, 3)
            domain.call(lambda heads=heads: found.append(heads.called))
            heads.enqueue()
            domain.call(lambda heads=heads: found.append(heads.called))
            domain.call(lambda heads=heads: found.append(heads.disorder))
    domain.barrier(PATIENCE)
    assert found == [0, 3, 0] * 50


def test_heads_of_a_thread_without_python(domain):
    with Holder(domain):
        batches = [Heads(domain, 10_000) for _ in range(4)]
        for heads in batches:
            heads.enqueue_elsewhere()
        eventually(lambda: all(heads.enqueued for heads in batches))
        assert domain.stats().pending == 40_000
        assert [heads.called for heads in batches] == [0] * 4
    domain.barrier(PATIENCE)
    assert [(heads.called, heads.disorder) for heads in batches] == [(10_000, 0)] * 4


def test_heads_are_enqueued_once(domain):
    heads = Heads(domain, 2)
    heads.enqueue()
    with pytest.raises(RuntimeError, match="2 heads"):
        heads.enqueue()
    domain.barrier(PATIENCE)
    assert heads.called == 2
