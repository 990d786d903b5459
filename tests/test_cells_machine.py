"""A cell against a plain variable, by threads driven step by step; old values die when they may, and not before."""

import gc

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

import rcu
from payloads import Deaths
from test_queue_machine import Worker
from threads import PATIENCE, eventually


class Failed(Exception):
    """What a function of an update raises."""


class CellMachine(stateful.RuleBasedStateMachine):
    """`value` is the model: the number of what is published. Each number is published as a new object; what nobody
    holds any more is `gone`, with the sections that were open when it was taken away."""

    WORKERS = 3
    workers = st.integers(0, WORKERS - 1)

    @stateful.initialize(deferred=st.booleans())
    def begin(self, deferred):
        self.deaths = Deaths()
        self.domain = rcu.Domain()
        self.deferred = deferred
        self.crew = [Worker() for _ in range(self.WORKERS)]
        self.open = {}  # sections: by worker, a number that is never used again
        self.read = {}  # by worker: what it has read in its section
        self.replaced = {}  # by number: a Replaced, and the sections that were open
        self.gone = {}  # by number: the sections that were open
        self.kept = set()  # numbers that swap has handed to the machine
        self.hands = []
        self.sections = 0
        self.value = 0
        self.next = 1
        self.cell = rcu.Cell(self.deaths.make(0), domain=self.domain, deferred=deferred)

    def new(self):
        self.next += 1
        return self.deaths.make(self.next - 1)

    def retires(self, number):
        self.gone[number] = frozenset(self.open.values())

    # ---- writes --------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers)
    def set(self, w):
        old, self.value = self.value, self.next
        assert self.crew[w].do(lambda: self.cell.set(self.new())) is None
        self.retires(old)

    @stateful.rule(w=workers, keep=st.booleans())
    def swap(self, w, keep):
        old, self.value = self.value, self.next
        taken = self.crew[w].do(lambda: self.cell.swap(self.new()))
        assert taken.name == old
        if keep:
            self.hands.append(taken)
        else:
            self.gone[old] = frozenset()

    @stateful.rule(w=workers, right=st.booleans())
    def compare_and_set(self, w, right):
        def write():
            expected = self.cell.value if right else object()
            return self.cell.compare_and_set(expected, self.new())

        old, new = self.value, self.next
        assert self.crew[w].do(write) is right
        if right:
            self.value = new
            self.retires(old)
        else:
            self.gone[new] = frozenset()

    @stateful.rule(w=workers, end=st.sampled_from(["new", "old", "raise", "itself", "write", "nothing"]))
    def update(self, w, end):
        calls = []
        old, new = self.value, self.next

        def func(value):
            calls.append(value.name)
            match end:
                case "new" | "write":
                    if end == "write":
                        try:
                            self.cell.set(None)
                        except rcu.DeadlockError:
                            pass
                        else:
                            raise AssertionError("an update wrote to its own cell")
                    return self.new()
                case "old":
                    return value
                case "raise":
                    raise Failed
                case "itself":
                    return self.cell
            return None

        def write():
            try:
                return self.cell.update(func)
            except (Failed, ValueError) as error:
                return type(error)

        found = self.crew[w].do(write)
        assert calls == [old]
        match end:
            case "new" | "write":
                assert found.name == new
                self.value = new
                self.retires(old)
            case "old":
                assert found.name == old
            case "raise" | "itself":
                assert found is (Failed if end == "raise" else ValueError)
            case "nothing":
                assert found is None
                self.retires(old)
                self.value = self.next
                self.cell.set(self.new())

    @stateful.rule(w=workers)
    def publish_the_same(self, w):
        self.crew[w].do(lambda: self.cell.set(self.cell.value))
        assert self.crew[w].do(lambda: self.cell.swap(self.cell.value).name) == self.value
        assert self.crew[w].do(lambda: self.cell.compare_and_set(self.cell.value, self.cell.value))

    @stateful.rule(w=workers)
    def replace(self, w):
        old, self.value = self.value, self.next
        replaced = self.crew[w].do(lambda: self.cell.replace(self.new()))
        assert replaced.value.name == old
        self.replaced[old] = replaced, frozenset(self.open.values())

    @stateful.precondition(lambda self: self.replaced)
    @stateful.rule(w=workers, data=st.data())
    def wait(self, w, data):
        number = data.draw(st.sampled_from(sorted(self.replaced)))
        replaced, sections = self.replaced[number]
        worker = self.crew[w]
        may_end = sections.isdisjoint(self.open.values())
        if replaced.done:
            assert may_end
        # A section that began later may be waited for, too: the grace period begins when someone asks for it.
        try:
            found = worker.do(replaced.wait, 0 if self.open else PATIENCE)
        except rcu.DeadlockError:
            assert worker in self.open
            return
        except TimeoutError:
            assert self.open
            return
        assert may_end
        assert found.name == number
        assert replaced.done

    @stateful.precondition(lambda self: self.replaced)
    @stateful.rule(data=st.data())
    def drop_a_replaced(self, data):
        number = data.draw(st.sampled_from(sorted(self.replaced)))
        _, self.gone[number] = self.replaced.pop(number)

    @stateful.rule()
    def drop_what_was_swapped(self):
        self.gone |= dict.fromkeys((it.name for it in self.hands), frozenset())
        self.hands.clear()

    # ---- reads ---------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers)
    def enter(self, w):
        worker = self.crew[w]
        if worker not in self.open:
            worker.do(self.domain.read_lock)
            self.sections += 1
            self.open[worker] = self.sections
            self.read[worker] = []

    @stateful.rule(w=workers, by_get=st.booleans())
    def look(self, w, by_get):
        found = self.crew[w].do((lambda: self.cell.get().name) if by_get else lambda: self.cell.value.name)
        assert found == self.value

    @stateful.rule(w=workers)
    def leave(self, w):
        worker = self.crew[w]
        if worker in self.open:
            self.what_died_might()
            del self.open[worker]
            worker.do(self.domain.read_unlock)

    @stateful.rule()
    def collect(self):
        gc.collect()

    # ---- what must hold ------------------------------------------------------------------------------------------

    @stateful.invariant()
    def what_died_might(self):
        died = self.deaths.log[:]
        assert len(set(died)) == len(died), "one died twice"
        sections = set(self.open.values())
        for number in died:
            assert number in self.gone, "one died that is held"
            assert self.gone[number].isdisjoint(sections), "one died while a section was open that could see it"
        assert self.cell.value.name == self.cell.get().name == self.value
        assert not self.domain.stats().callbacks_failed

    def teardown(self):
        if not hasattr(self, "cell"):
            return
        for worker in list(self.open):
            worker.do(self.domain.read_unlock)
        self.open.clear()
        self.drop_what_was_swapped()
        self.gone |= dict.fromkeys(self.replaced, frozenset())
        self.replaced.clear()
        self.domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and len(self.deaths.log) >= self.next - 1)
        self.what_died_might()
        for worker in self.crew:
            worker.end()
        del self.cell
        gc.collect()
        self.domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and len(self.deaths.log) >= self.next)


TestCell = CellMachine.TestCase
TestCell.settings = hypothesis.settings(max_examples=40, stateful_step_count=40)
