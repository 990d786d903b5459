"""The benchmark's scenarios and graphs: the ways that are compared do the same, and what was asked for is measured."""

import importlib.util
import itertools
import json
import sys
import threading
from functools import partial

import pytest

import rcu
from rcu.bench import main, scenario
from rcu.bench.cases import (
    break_even,
    cell_bursts,
    cell_keys,
    cell_readers,
    cell_updates,
    grace_readers,
    scenario_container,
    scenario_flags,
    scenario_router,
)
from rcu.bench.findings import Spread
from rcu.bench.measure import LEFT_OUT, Disturbed, NotMeasured, Scale, processors, readers_may_leave_counts
from rcu.bench.throughput import interleaved, lap_turns, throughput, updates
from threads import eventually

QUICK = Scale(quick=True)
SCENARIOS = [scenario_container, scenario_flags, scenario_router]
needs_two_processors = pytest.mark.skipif(
    len(processors()) < 2 or getattr(sys, "_is_gil_enabled", lambda: True)(), reason="takes threads on two processors"
)
needs_rwlock = pytest.mark.skipif(
    importlib.util.find_spec("readerwriterlock") is None, reason="readerwriterlock is not installed"
)


def lines_of(capsys, case):
    assert main(["--quick", "--json", case], "python -m rcu bench") == 0
    return json.loads(capsys.readouterr().out)["cases"][case]


def ways(module):
    return [
        module.InCell,
        module.UnderLock,
        pytest.param(module.UnderReaderWriterLock, marks=needs_rwlock),
        module.Plain,
    ]


class TestScenarios:
    @pytest.mark.parametrize("way", ways(scenario_container))
    def test_the_container_closes_what_it_replaces_where_it_can(self, way):
        container = way()
        old = container.resolve() if way is scenario_container.InCell else container._database
        assert old.query() == 54
        container.swap()
        assert old.query() == (54 if way is scenario_container.Plain else -1)
        container.serve(3)

    @pytest.mark.parametrize("way", ways(scenario_flags))
    def test_the_flags_are_flipped_together(self, way):
        flags = way()
        flags.serve(3)
        flags.swap()
        found = flags._flags.value if way is scenario_flags.InCell else flags._flags
        assert found == scenario_flags.Flags(revision=1, new_checkout=True, new_receipt=True)
        flags.serve(3)

    @pytest.mark.parametrize("way", ways(scenario_router))
    def test_the_router_swaps_its_table(self, way):
        router = way()
        router.serve(3)
        tables = set()
        for _ in range(3):
            router.swap()
            tables.add(router._routes.value if way is scenario_router.InCell else router._table)
        assert len(tables) == 2
        router.serve(3)

    def test_the_router_has_so_many_routes(self):
        table = scenario_router.Table()
        assert len(table.targets) == scenario_router.ROUTES
        assert table.match("/shop/17") == (17, "shop")
        assert table.match("/users/anna/4999") == (4999, "users")
        with pytest.raises(KeyError):
            table.match("/users/anna/5000")

    def test_requests_go_through_all_routes(self):
        number, different = scenario_router.requests()
        met = set()
        for _ in range(different):
            number = (number * 21 + 7) % different
            met.add(number)
        assert len(met) == different

    @needs_two_processors
    @pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case.__name__.rpartition(".")[2])
    def test_each_way_is_measured_beside_the_cells(self, capsys, case):
        lines = lines_of(capsys, case.__name__.rpartition(".")[2])
        names = ["rcu.Cell", "threading.Lock", "RWLockFair", "plain attribute"]
        assert [line["what"].partition(":")[0] for line in lines] == names
        aim = case is scenario_container and readers_may_leave_counts()
        assert [line["target"] is not None for line in lines] == [aim, False, False, False]
        for line in lines:
            assert line["more_is_better"]
            assert line["not_measured"] is not None or line["figures"]["two threads M/s"] > 0

    @needs_two_processors
    def test_a_way_without_its_package_leaves_the_others(self):
        class Broken:
            def __init__(self):
                raise NotMeasured("not here")

        found = scenario.run(QUICK, "cell", {"broken": Broken, "cell": scenario_flags.InCell})
        assert [line.missing for line in found] == ["not here", None]


class TestGraphs:
    @pytest.mark.parametrize(
        ("case", "curves"),
        [
            ("cell_readers", 4),
            ("cell_updates", 4),
            ("grace_readers", 2),
            ("cell_garbage", 2),
            ("cell_stalled", 2),
            ("cell_bursts", 4),
            ("break_even", 6),
        ],
    )
    def test_each_case_has_one(self, capsys, case, curves):
        lines = lines_of(capsys, case)
        if lines[0]["not_measured"] is not None:
            pytest.skip(lines[0]["not_measured"])
        [graph] = [line["graph"] for line in lines if line["graph"] is not None]
        assert len(graph["curves"]) >= curves
        for curve in graph["curves"]:
            xs = [point["x"] for point in curve["points"]]
            assert xs == sorted(set(xs))
            assert not graph["log_x"] or xs[0] > 0
            assert len(xs) > 1

    def test_threads_are_doubled_up_to_twice_the_processors(self, monkeypatch):
        monkeypatch.setattr(cell_readers, "processors", lambda: [0, 1, 2])
        assert list(cell_readers.thread_counts()) == [1, 2, 4]

    @needs_two_processors
    def test_rates_and_readers_are_those_asked_for(self, capsys):
        graph = lines_of(capsys, "cell_updates")[0]["graph"]
        assert [point["x"] for point in graph["curves"][0]["points"]] == [0.1, 1, 100, 10_000]
        assert cell_updates.RATES == (0, 1, 100, 10_000)
        graph = lines_of(capsys, "grace_readers")[0]["graph"]
        assert [point["x"] for point in graph["curves"][0]["points"]] == list(grace_readers.READERS)

    def test_where_the_cell_loses_is_said(self):
        line = break_even._line(0.5, {0: Spread.of([0.4]), 1: Spread.of([0.9]), 10: Spread.of([2.0])}, None)
        assert line.note == "the cell LOSES at 0, 1 us"
        assert line.spread.median == 0.4
        line = break_even._line(0, {0: Spread.of([1.4])}, None)
        assert "wins" in line.note

    def test_a_share_of_the_operations_writes(self):
        lock, record = threading.Lock(), break_even.Record(0, None, None, None)
        domain = rcu.Domain()
        cell = rcu.Cell(break_even.Record(0, None, None, None), domain=domain)
        for _ in range(2):
            break_even.through_cell(domain, cell, 1, 9, 100)
            break_even.under_lock(lock, record, 1, 9, 100)
        assert cell.value.number == record.number == 20

    @needs_two_processors
    def test_reads_are_timed_while_bursts_go_on(self):
        written = []
        way = cell_bursts.Way(
            "it", lambda _: eventually(lambda: len(written) >= 2 * cell_bursts._BURST), written.append
        )
        cell_bursts._percentiles(QUICK, way, True, *processors()[:2])
        assert len(written) % cell_bursts._BURST == 0

    def test_keys_are_looked_up(self):
        class Met(dict):
            def __missing__(self, key):
                self[key] = True
                return True

        met = Met()
        cell_keys.look_up(rcu.Cell(met), cell_keys._KEYS)
        assert set(met) == {cell_keys.make_key(number) for number in range(cell_keys._KEYS)}

    @pytest.mark.skipif(not readers_may_leave_counts(), reason="nothing is deferred there")
    def test_without_a_limit_memory_grows_by_a_dict_an_update(self, capsys):
        *_, line = lines_of(capsys, "cell_garbage")
        if line["not_measured"]:
            pytest.skip(line["not_measured"])
        assert line["median"] > 0.5


class TestInterleaved:
    def test_one_after_the_other(self):
        order = []
        found, said = interleaved(Scale(quick=False), 5, {key: partial(order.append, key) for key in "ab"})
        assert order == list("ab" * 6)
        assert found == {"a": [None] * 5, "b": [None] * 5}
        assert said == ""

    def test_what_was_disturbed_is_made_again(self):
        numbers, disturb = itertools.count(), itertools.cycle([True, False])

        def measure():
            if next(disturb):
                raise Disturbed
            return next(numbers)

        found, said = interleaved(Scale(quick=False), 5, {"a": measure})
        assert found == {"a": [1, 2, 3, 4, 5]}
        assert said == LEFT_OUT.format(6)

    def test_a_repeat_counts_for_all_or_for_none(self):
        numbers = {key: itertools.count() for key in "ab"}

        def measure(key):
            number = next(numbers[key])
            if key == "b" and number < 100:
                raise Disturbed
            return number

        found, _ = interleaved(Scale(quick=False), 15, {key: partial(measure, key) for key in "ab"})
        assert len(found["a"]) == len(found["b"])

    def test_one_that_is_always_disturbed_is_not_measured(self):
        def measure():
            raise Disturbed

        with pytest.raises(NotMeasured, match="idle"):
            interleaved(Scale(quick=False), 5, {"a": measure})


class TestThroughput:
    def test_every_thread_counts(self):
        turns = {}

        def loop(count):
            own = turns.setdefault(threading.get_ident(), [])
            own.append(count)

        assert throughput(QUICK, [loop] * 3, 0.01) > 0
        assert len(turns) == 3

    def test_each_does_a_lap_at_least(self):
        assert throughput(QUICK, [lambda _: None], 0.0) > 0
        with pytest.raises(Disturbed):
            throughput(Scale(quick=False), [lambda _: None], 0.0, [processors()[0]])

    def test_a_disturbance_is_told(self, monkeypatch):
        numbers = itertools.count()
        monkeypatch.setattr("rcu.bench.throughput.preemptions", lambda: next(numbers))
        with pytest.raises(Disturbed):
            throughput(Scale(quick=False), [lambda _: None], 0.01, [processors()[0]])
        throughput(Scale(quick=False), [lambda _: None], 0.01)

    def test_a_lap_of_a_slow_loop_is_a_turn(self, monkeypatch):
        monkeypatch.setattr("rcu.bench.throughput.alone", lambda *_: 1.0)
        assert lap_turns(lambda _: None) == 1
        monkeypatch.setattr("rcu.bench.throughput.alone", lambda *_: 1e-7)
        assert lap_turns(lambda _: None) == 1000


class TestUpdates:
    def test_they_go_on_until_the_body_ends(self):
        made = []
        with updates(lambda: made.append(1), 1000) as done:
            eventually(lambda: len(made) >= 3)
        assert done.made == len(made) >= 3
        assert done.rate > 0

    def test_none(self):
        with updates(pytest.fail, 0) as done:
            pass
        assert (done.made, done.rate) == (0, 0)
