"""Deferred work against a model: threads driven step by step, and after each step what has run is what may have."""

import gc
import queue
import threading

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

import rcu
from threads import PATIENCE, eventually


class Worker:
    """A thread that does what it is told, one thing at a time."""

    def __init__(self):
        self.tasks = queue.SimpleQueue()
        self.results = queue.SimpleQueue()
        self.depths = {}  # by domain: nested sections of this thread
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        while (task := self.tasks.get()) is not None:
            try:
                self.results.put((task(), None))
            except BaseException as error:
                self.results.put((None, error))
            task = None

    def do(self, function, *args):
        self.tasks.put(lambda: function(*args))
        result, error = self.results.get(timeout=PATIENCE)
        if error is not None:
            raise error
        return result

    def end(self):
        self.tasks.put(None)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class Home:
    """A domain with its model. `deferred` are its callbacks in the order in which they were deferred: the worker, and
    the sections that were open. `ran` is appended to by the callbacks themselves."""

    def __init__(self):
        self.domain = rcu.Domain()
        self.deferred = []
        self.ran = []
        self.open = {}  # sections: by worker, a number that is never used again
        self.references = 0
        self.failed = 0

    def begins(self, worker):
        self.deferred.append((worker, frozenset(self.open.values())))
        return len(self.deferred) - 1

    def may_have_run(self, i):
        return self.deferred[i][1].isdisjoint(self.open.values())


class QueueMachine(stateful.RuleBasedStateMachine):
    WORKERS, HOMES = 3, 2
    workers = st.integers(0, WORKERS - 1)
    homes = st.integers(0, HOMES - 1)

    def __init__(self):
        super().__init__()
        self.crew = [Worker() for _ in range(self.WORKERS)]
        self.home = [Home() for _ in range(self.HOMES)]
        self.dropped = []
        self.sections = 0

    # ---- deferring ---------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers, h=homes, count=st.integers(1, 130), arguments=st.sampled_from([0, 1, 13, 14, 122, 200]))
    def call(self, w, h, count, arguments):
        home, worker = self.home[h], self.crew[w]
        ran = home.ran

        def run(i, *args):
            assert args == tuple(range(arguments))
            ran.append(i)

        numbers = [home.begins(worker) for _ in range(count)]
        worker.do(lambda: [home.domain.call(run, i, *range(arguments)) for i in numbers])

    @stateful.rule(w=workers, h=homes)
    def call_with_names(self, w, h):
        home, worker = self.home[h], self.crew[w]
        ran = home.ran
        worker.do(lambda i: home.domain.call(lambda *, number: ran.append(number), number=i), home.begins(worker))

    @stateful.rule(w=workers, h=homes, count=st.integers(1, 200))
    def retire(self, w, h, count):
        home = self.home[h]
        self.crew[w].do(lambda: [home.domain.retire([]) for _ in range(count)])
        home.references += count

    # ---- sections ----------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers, h=homes)
    def enter(self, w, h):
        home, worker = self.home[h], self.crew[w]
        worker.do(home.domain.read_lock)
        worker.depths[home] = worker.depths.get(home, 0) + 1
        if worker not in home.open:
            self.sections += 1
            home.open[worker] = self.sections

    @stateful.rule(w=workers, h=homes)
    def leave(self, w, h):
        home, worker = self.home[h], self.crew[w]
        if worker.depths.get(home, 0) == 0:
            return
        # Before it leaves: from here on, what waited for this section may run.
        worker.depths[home] -= 1
        if worker.depths[home] == 0:
            self.look(home)
            del home.open[worker]
        worker.do(home.domain.read_unlock)

    # ---- waits -------------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers, h=homes)
    def barrier(self, w, h):
        home, worker = self.home[h], self.crew[w]
        if worker in home.open:
            try:
                worker.do(home.domain.barrier)
            except rcu.DeadlockError:
                return
            raise AssertionError("a barrier in a section returned")
        waits_for = any(not home.may_have_run(i) for i in range(len(home.deferred)))
        try:
            worker.do(home.domain.barrier, 0 if home.open else PATIENCE)
        except TimeoutError:
            assert home.open
            return
        assert not waits_for
        self.all_have_run(home)

    @stateful.rule(h=homes)
    def synchronize_from_outside(self, h):
        if not self.home[h].open:
            self.home[h].domain.synchronize(PATIENCE)

    # ---- ends --------------------------------------------------------------------------------------------------------

    @stateful.rule(w=workers, h=homes)
    def unregister(self, w, h):
        if self.crew[w] not in self.home[h].open:
            self.crew[w].do(self.home[h].domain.unregister_thread)

    @stateful.rule(w=workers)
    def end_a_thread(self, w):
        worker = self.crew[w]
        if not any(worker.depths.values()):
            worker.end()
            self.crew[w] = Worker()

    @stateful.rule(h=homes)
    def drop_a_domain(self, h):
        home = self.home[h]
        if not home.open:
            home.domain = None
            gc.collect()
            self.dropped.append(home)
            self.home[h] = Home()

    # ---- what must hold ---------------------------------------------------------------------------------------------

    def look(self, home):
        ran = home.ran[:]
        assert len(set(ran)) == len(ran), "a callback ran twice"
        last = {}
        for i in ran:
            worker = home.deferred[i][0]
            assert last.get(worker, -1) < i, "two callbacks of one thread ran in the other order"
            last[worker] = i
            assert home.may_have_run(i), "a callback ran while a section was open that had begun before it"

    def all_have_run(self, home):
        self.look(home)
        assert len(home.ran) == len(home.deferred)

    @stateful.invariant()
    def what_has_run_may_have(self):
        for home in self.home:
            self.look(home)
            stats = home.domain.stats()
            assert stats.callbacks_failed == 0
            assert stats.sections_active == len(home.open)
            assert stats.pending + stats.callbacks_run == len(home.deferred) + home.references

    def teardown(self):
        for home in self.home:
            for worker in list(home.open):
                for _ in range(worker.depths[home]):
                    worker.do(home.domain.read_unlock)
            home.open.clear()
            home.domain.barrier(PATIENCE)
            self.all_have_run(home)
        for worker in self.crew:
            worker.end()
        for home in self.dropped:
            eventually(lambda home=home: len(home.ran) == len(home.deferred))
            self.all_have_run(home)


TestQueue = QueueMachine.TestCase
TestQueue.settings = hypothesis.settings(max_examples=50, stateful_step_count=40)
