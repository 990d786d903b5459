"""Readers and writers of one cell at the same time: nothing torn, nothing lost, nothing twice, nobody stuck."""

import functools
import gc
import threading

import pytest

import rcu
from payloads import Page, Turns
from threads import PATIENCE, beside, eventually, together

KINDS = pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "counted"])
ENOUGH = 1000  # turns of each, until a race has taken place


class Race:
    """Functions that go on, each on its thread, until each has had its turns, and they have met; counts how often."""

    def __init__(self, *works):
        self.stop = threading.Event()
        self.counts = [0] * len(works)
        self.works = works

    def _go_on(self, i):
        try:
            while not self.stop.is_set():
                self.works[i]()
                self.counts[i] += 1
        except BaseException:
            self.stop.set()
            raise

    def run(self, have_met, enough=ENOUGH):
        with beside(together, *(functools.partial(self._go_on, i) for i in range(len(self.works)))):
            try:
                eventually(lambda: self.stop.is_set() or (min(self.counts) >= enough and have_met()))
            finally:
                self.stop.set()


# ---- readers beside writers -----------------------------------------------------------------------------------------


def pair(i):
    return (i, [i])


def mapping(i):
    return {"one": i, "other": i}


def check_pair(value):
    one, (other,) = value
    assert one == other
    return one


def check_mapping(value):
    assert value["one"] == value["other"]
    assert len(value) == 2
    return value["one"]


def check_text(value):
    one, _, other = value.partition(" ")
    assert one == other
    return int(one)


def check_float(value):
    assert value % 1 == 0.5
    return value


KINDS_OF_PAYLOADS = {
    "page": (Page, Page.check),
    "tuple": (pair, check_pair),
    "dict": (mapping, check_mapping),
    # What cannot be deferred, and is freed into lists of the interpreter's own.
    "text": (lambda i: f"{i} {i}", check_text),
    "float": (lambda i: i + 0.5, check_float),
}


@KINDS
@pytest.mark.parametrize("kind", KINDS_OF_PAYLOADS)
def test_readers_meet_whole_payloads(domain, deferred, kind):
    make, check = KINDS_OF_PAYLOADS[kind]
    cell = rcu.Cell(make(0), domain=domain, deferred=deferred)
    numbers = iter(range(1, 1 << 60))
    changes = [0]

    def write():
        cell.set(make(next(numbers)))
        cell.swap(make(next(numbers)))  # and drops what it gets, at once
        cell.compare_and_set(cell.value, make(next(numbers)))
        cell.update(lambda _: make(next(numbers)))
        old = cell.replace(make(next(numbers)))
        check(old.value)

    def read():
        one = cell.value
        first = check(one)
        other = cell.get()
        changes[0] += check(other) != first
        assert check(one) == first

    def read_in_a_section():
        with domain:
            one = cell.value
            first = check(one)
            for _ in range(20):
                check(cell.value)
        assert check(one) == first

    def collect():
        gc.collect()

    Race(read, read_in_a_section, write).run(lambda: changes[0] > 10)
    changes[0] = 0
    Race(read, read_in_a_section, write, collect).run(lambda: changes[0] > 0, 20)
    domain.barrier(PATIENCE)


def test_what_replace_hands_out_is_met_by_no_section(domain):
    """The body of the with statement may overwrite it."""
    cell = rcu.Cell(Page(0), domain=domain)
    turns = Turns()

    def writer(k):
        def write():
            with cell.replace(Page(k)) as old:
                old.check()
                old.close()

        return write

    def read():
        with domain:
            page = cell.value
            number = page.check()
            for _ in range(10):
                page.check()
            overtaken = cell.value is not page
            assert page.check() == number
        turns.add("overtaken", overtaken)

    def read_by_get():
        with domain.read() as guard:
            page = cell.get(guard)
            page.check()
            for _ in range(10):
                page.check()

    Race(read, read_by_get, writer(1), writer(2)).run(lambda: turns["overtaken"] > 10, 300)


def test_what_swap_hands_out_is_free_after_a_grace_period(domain):
    cell = rcu.Cell(Page(0), domain=domain)
    turns = Turns()

    def write():
        old = cell.swap(Page(1))
        domain.synchronize(PATIENCE)
        old.close()

    def read():
        with domain:
            page = cell.value
            for _ in range(10):
                page.check()
            overtaken = cell.value is not page
            page.check()
        turns.add("overtaken", overtaken)

    Race(read, read, write, write).run(lambda: turns["overtaken"] > 10, 300)


# ---- writers beside writers -----------------------------------------------------------------------------------------


class Counter:
    """Counts up by one of the ways; says how often others came between."""

    def __init__(self, cell, times):
        self.cell = cell
        self.times = times
        self.met = self.seen = 0

    def update(self):
        for _ in range(self.times):
            before = self.seen
            self.seen = self.cell.update(lambda n: n + 1)
            self.met += self.seen != before + 1

    def compare_and_set(self):
        for _ in range(self.times):
            while not self.cell.compare_and_set(old := self.cell.value, old + 1):
                self.met += 1


@KINDS
@pytest.mark.parametrize("ways", [["update"] * 4, ["compare_and_set"] * 4, ["update", "compare_and_set"] * 2], ids=str)
def test_no_addition_is_lost(domain, deferred, ways):
    # Numbers that are no constants of the interpreter: each is an object of its own.
    cell = rcu.Cell(1 << 40, domain=domain, deferred=deferred)
    times = 3000
    counters = []
    while not any(counter.met for counter in counters):
        before = cell.value
        counters = [Counter(cell, times) for _ in ways]
        together(*(getattr(counter, way) for counter, way in zip(counters, ways, strict=True)))
        assert cell.value == before + len(ways) * times
    domain.barrier(PATIENCE)


@KINDS
def test_each_value_is_handed_out_once(domain, deferred):
    """Swaps, as of one baton: nobody gets what another one got, and nothing is left out."""
    cell = rcu.Cell([-1, 0], domain=domain, deferred=deferred)
    times, hands = 3000, 4
    got = [[] for _ in range(hands)]

    def work(k):
        for i in range(times):
            got[k].append(cell.swap([k, i]))

    together(*(functools.partial(work, k) for k in range(hands)))
    values = sorted([*(tuple(value) for hand in got for value in hand), tuple(cell.value)])
    assert values == sorted([(-1, 0), *((k, i) for k in range(hands) for i in range(times))])
    assert any(value[0] != k for k in range(hands) for value in got[k]), "each got its own only"


def test_all_ways_to_write_make_one_history(domain):
    """Each value has one successor, and one predecessor: from the last one back there is one line to the first."""
    first = [0]
    cell = rcu.Cell(first, domain=domain)
    times = 1500
    links = [[] for _ in range(5)]
    failures = [0]

    def swap(new):
        return cell.swap(new)

    def update(new):
        olds = []
        cell.update(lambda old: olds.append(old) or new)
        (old,) = olds
        return old

    def compare_and_set(new):
        while not cell.compare_and_set(old := cell.value, new):
            failures[0] += 1
        return old

    def replace(new):
        return cell.replace(new).value

    def set_(new):
        cell.set(new)  # which does not say what was there

    def work(k, write):
        for i in range(times):
            new = [k, i]
            links[k].append((write(new), new))

    writers = [swap, update, compare_and_set, replace, set_]
    together(*(functools.partial(work, k, write) for k, write in enumerate(writers)))
    everything = [first] + [new for link in links for _, new in link]
    olds = [id(old) for link in links[:-1] for old, _ in link]
    assert len(set(olds)) == len(olds), "a value was handed out twice"
    assert set(olds) < {id(value) for value in everything}
    # What nobody was handed is what set() replaced, and what is there now.
    assert len(everything) - len(olds) == times + 1
    assert id(cell.value) not in olds
    before = {id(new): old for link in links[:-1] for old, new in link}
    for value in everything:
        for _ in range(len(everything)):
            if (value := before.pop(id(value), None)) is None:
                break
        else:
            raise AssertionError("the history is a circle")
    domain.barrier(PATIENCE)


class Updating:
    """A thread that is within update() until it is told to go on."""

    def __init__(self, cell, new):
        self.cell = cell
        self.new = new
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __enter__(self):
        self._context = beside(self.cell.update, self._func)
        self._context.__enter__()
        assert self.begun.wait(PATIENCE)
        return self

    def _func(self, old):
        self.old = old
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return self.new

    def __exit__(self, *error):
        self.go_on.set()
        return self._context.__exit__(*error)


@KINDS
@pytest.mark.parametrize("how", ["set", "swap", "compare_and_set", "update", "replace"])
def test_writers_wait_for_an_update(domain, deferred, how):
    first, second, third = [1], [2], [3]
    cell = rcu.Cell(first, domain=domain, deferred=deferred)
    found = []
    write = {
        "set": lambda: cell.set(third),
        "swap": lambda: found.append(cell.swap(third)),
        "compare_and_set": lambda: found.append(cell.compare_and_set(first, third)),
        "update": lambda: cell.update(lambda old: found.append(old) or third),
        "replace": lambda: found.append(cell.replace(third).value),
    }[how]
    with Updating(cell, second) as update, beside(write) as writer:
        writer.join(0.02)
        assert writer.is_alive()
        assert cell.value is cell.get() is first, "readers wait for nobody"
        with domain:
            assert cell.value is first
        update.go_on.set()
        writer.join(PATIENCE)
        assert not writer.is_alive()
    if how == "compare_and_set":
        assert found == [False]
        assert cell.value is second
    else:
        assert cell.value is third
        assert found == ([] if how == "set" else [second])


def test_many_wait_for_an_update_that_fails(domain):
    cell = rcu.Cell(0, domain=domain)
    begun, go_on = threading.Event(), threading.Event()

    def fail(_):
        begun.set()
        assert go_on.wait(PATIENCE)
        raise KeyError

    def updater():
        with pytest.raises(KeyError):
            cell.update(fail)

    def writer():
        assert begun.wait(PATIENCE)
        cell.update(lambda old: old + 1)

    def release():
        assert begun.wait(PATIENCE)
        go_on.set()

    together(updater, release, *[writer] * 6)
    assert cell.value == 6


def test_a_collection_amid_an_update(domain):
    """The world stops while others wait for the writer lock: they do not hold it up."""
    cell = rcu.Cell(0, domain=domain)
    waiting = threading.Event()

    def func(old):
        waiting.set()
        for _ in range(20):
            gc.collect()
        return old + 1

    def wait():
        assert waiting.wait(PATIENCE)
        cell.update(lambda old: old + 1)

    together(lambda: cell.update(func), wait, wait)
    assert cell.value == 3


def test_other_cells_go_on_amid_an_update(domain):
    cells = [rcu.Cell(0, domain=domain) for _ in range(200)]
    with Updating(cells[0], 1):
        for cell in cells[1:]:
            cell.set(1)
            assert cell.update(lambda old: old + 1) == 2


def test_writers_come_and_go(domain):
    """A lock that is left by threads that end is free."""
    cell = rcu.Cell(0, domain=domain)

    def work():
        for _ in range(60):
            with beside(cell.update, lambda old: old + 1):
                pass

    together(*[work] * 3)
    assert cell.value == 180
