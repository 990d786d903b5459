"""The benchmark's runs: kept in files, pooled over processes, compared with older ones."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from rcu.bench import main, pool, record, report
from rcu.bench.apart import run_apart
from rcu.bench.cases import CASES
from rcu.bench.compare import SAME, Comparison
from rcu.bench.findings import Curve, Graph, Line, Spread, Target
from rcu.bench.machine import DECISIVE, machine
from rcu.bench.measure import LEFT_OUT, NotMeasured, Scale, processors
from rcu.bench.record import RecordError, Run

PROG = "python -m rcu bench"
GRAPH = Graph("curve", "Things", "threads", "ns", [Curve("a", [(1.0, Spread(2.0, 1.0, 3.0))])], log_y=True)
LINE = Line("thing", Spread(2.0, 1.0, 3.0), "ns", Target(2.5), {"it ns": 12.0}, "by the way", graph=GRAPH)


@pytest.fixture
def bench(capsys):
    """Runs it; returns what it printed."""

    def run(*arguments, code=0):
        assert main([str(argument) for argument in arguments], PROG) == code
        return capsys.readouterr()

    return run


@pytest.fixture
def case(monkeypatch):
    """Adds a case that finds these lines, or calls this."""

    def add(*lines, name="fake", then=lambda: None):
        def run(_):
            then()
            return list(lines)

        monkeypatch.setitem(CASES, name, SimpleNamespace(TITLE="a case for this test", run=run))

    return add


@pytest.fixture
def old(tmp_path):
    """Writes a run with these lines, and returns where; changes are made to its JSON."""

    def write(*lines, facts=(), **changes):
        data = record.as_json(Run(True, 1, machine() | dict(facts), {"fake": list(lines)}))
        path = tmp_path / "old.json"
        path.write_text(json.dumps(data | changes))
        return path

    return write


def never():
    raise AssertionError("measured in vain")


class TestSave:
    def test_text_and_json_in_one_run(self, bench, case, tmp_path):
        case(LINE)
        path = tmp_path / "run.json"
        out = bench("fake", "--save", path).out
        assert "thing" in out
        assert f"wrote {path}" in out
        assert record.read(path).cases == {"fake": [LINE]}

    def test_json_on_both(self, bench, case, tmp_path):
        case(LINE)
        path = tmp_path / "run.json"
        assert bench("fake", "--json", "--save", path).out == path.read_text()

    def test_what_is_read_is_what_was_written(self, tmp_path):
        lines = [LINE, Line("other", missing="why"), replace(LINE, what="more", more_is_better=True, target=None)]
        run = Run(True, 3, machine(), {"one": lines, "two": []})
        path = tmp_path / "run.json"
        path.write_text(json.dumps(record.as_json(run)))
        assert record.read(path) == run

    @pytest.mark.parametrize("place", ["", "no/such/run.json"])
    def test_where_it_cannot_be_is_said_before(self, bench, case, tmp_path, place):
        case(LINE, then=never)
        err = bench("fake", "--save", tmp_path / place, code=2).err
        assert err.startswith(f"{PROG}: error: --save {tmp_path / place}: ")
        assert err.count("\n") == 1

    def test_a_failure_does_not_take_the_figures_along(self, bench, case, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        case(LINE, then=folder.rmdir)
        captured = bench("fake", "--save", folder / "run.json", code=2)
        assert "2 ns (1..3)" in captured.out
        assert str(folder / "run.json") in captured.err


class TestProcesses:
    @pytest.mark.parametrize("number", ["0", "-1", "1.5", "many"])
    def test_how_many_is_a_count(self, bench, number):
        assert f"{number!r} is not a whole number above 0" in bench("scan", f"--processes={number}", code=2).err

    def test_each_case_runs_in_each(self, bench, monkeypatch):
        runs = []

        def run(code, *arguments):
            runs.append(arguments)
            return run_apart(code, *arguments)

        monkeypatch.setattr(pool, "run_apart", run)
        found = json.loads(bench("--quick", "--json", "--processes=2", "grace_idle").out)
        assert runs == [("grace_idle", "--json", "--quick")] * 2
        assert found["processes"] == 2
        assert all(line["median"] > 0 for line in found["cases"]["grace_idle"])

    def test_one_that_fails_is_told(self, bench, monkeypatch):
        monkeypatch.setattr(pool, "_CHILD", "raise SystemExit('out of luck')\n")
        [line] = json.loads(bench("--quick", "--json", "--processes=2", "scan").out)["cases"]["scan"]
        assert line["not_measured"] == "a process of its own failed: out of luck"

    def test_a_median_of_medians(self):
        [line] = pool.pooled(
            [[replace(LINE, spread=Spread(middle, 0.0, 9.0), figures={"it ns": middle})] for middle in (5.0, 1.0, 2.0)]
        )
        assert line == replace(LINE, spread=Spread(2.0, 1.0, 5.0), figures={"it ns": 2.0}, graph=line.graph)
        assert line.graph.curves == [Curve("a", [(1.0, Spread(2.0, 2.0, 2.0))])]

    def test_a_graph_is_pooled_point_by_point(self):
        def graph(*points):
            return [replace(LINE, graph=replace(GRAPH, curves=[Curve("a", [(x, Spread(y, y, y)) for x, y in points])]))]

        [line] = pool.pooled([graph((2.0, 20.0), (1.0, 10.0)), graph((1.0, 12.0))])
        assert line.graph == replace(
            GRAPH, curves=[Curve("a", [(1.0, Spread(11.0, 10.0, 12.0)), (2.0, Spread(20.0, 20.0, 20.0))])]
        )

    def test_what_some_did_not_measure_is_told(self):
        [line, other] = pool.pooled([[LINE], [Line("thing", missing="busy")], [LINE, Line("other", missing="why")]])
        assert line.spread == Spread(2.0, 2.0, 2.0)
        assert line.note == "measured in 2 of 3 processes only: busy; by the way"
        assert other.missing == "why"

    def test_repeats_that_were_left_out_are_added(self):
        notes = ["so it is", f"so it is; {LEFT_OUT.format(3)}", "", LEFT_OUT.format(4)]
        [line] = pool.pooled([[replace(LINE, note=note)] for note in notes])
        assert line.note == f"so it is; {LEFT_OUT.format(7)}"

    def test_what_none_measured(self):
        assert pool.pooled([[Line("thing", missing="busy")]] * 2) == [Line("thing", missing="busy")]


class TestApart:
    def test_it_has_the_path_and_the_options(self, monkeypatch):
        monkeypatch.setattr(sys, "_xoptions", sys._xoptions | {"rcu": "yes", "frozen_modules": "off"})
        monkeypatch.setattr(sys, "path", [*sys.path, "/some/where"])
        printed = run_apart("print(sys.argv[1:], sys.path[-1], sys._xoptions['rcu'])", "a", "b")
        assert printed == "['a', 'b'] /some/where yes\n"

    def test_one_that_takes_too_long(self):
        with pytest.raises(NotMeasured, match="too long"):
            run_apart("sys.stdin.read() or input()", timeout=0)


class TestCompare:
    @pytest.mark.parametrize(
        ("spread", "more_is_better", "verdict", "ratio"),
        [
            (Spread(2.0, 1.0, 3.0), False, SAME, 1.0),
            (Spread(4.0, 3.0, 5.0), False, SAME, 2.0),
            (Spread(4.0, 3.5, 5.0), False, "worse", 2.0),
            (Spread(4.0, 3.5, 5.0), True, "better", 2.0),
            (Spread(0.5, 0.1, 0.9), False, "better", 0.25),
            (Spread(0.5, 0.1, 0.9), True, "worse", 0.25),
        ],
    )
    def test_verdict(self, bench, case, old, spread, more_is_better, verdict, ratio):
        path = old(replace(LINE, more_is_better=more_is_better))
        case(replace(LINE, spread=spread, more_is_better=more_is_better))
        [line] = json.loads(bench("fake", "--json", "--compare", path).out)["cases"]["fake"]
        assert line["compared"] == {"median": 2.0, "min": 1.0, "max": 3.0, "ratio": ratio, "verdict": verdict}
        assert (
            f"    was 2 ns (1..3), {report.number(ratio)} of it: {verdict}\n" in bench("fake", f"--compare={path}").out
        )

    @pytest.mark.parametrize(
        ("then", "now", "verdict"),
        [
            (replace(LINE, what="another"), LINE, "no such line there"),
            (replace(LINE, spread=None, missing="busy"), LINE, "without a figure there"),
            (LINE, replace(LINE, spread=None, missing="busy"), "without a figure here"),
            (replace(LINE, spread=None), replace(LINE, spread=None), "without a figure there and here"),
            (replace(LINE, unit="us"), LINE, "not comparable: the unit was 'us', is 'ns'"),
            (replace(LINE, more_is_better=True), LINE, "not comparable: more was better"),
        ],
    )
    def test_without_a_ratio(self, bench, case, old, then, now, verdict):
        path = old(then)
        case(now)
        [line] = json.loads(bench("fake", "--json", "--compare", path).out)["cases"]["fake"]
        assert line["compared"]["verdict"] == verdict
        assert line["compared"]["ratio"] is None
        assert verdict in bench("fake", "--compare", path).out

    def test_nothing_was_nothing(self, old):
        nothing = replace(LINE, spread=Spread(0.0, 0.0, 0.0))
        compared = Comparison(old(nothing), ["fake"]).of("fake", nothing)
        assert (compared.verdict, compared.ratio) == (SAME, None)

    def test_absences_are_named(self, bench, case, old):
        path = old(LINE, replace(LINE, what="bygone"))
        case(LINE)
        case(LINE, name="newer")
        out = bench("fake", "newer", "--compare", path).out
        assert f"  in {path} only: bygone\n" in out
        assert out.count("no such case there") == 1
        found = json.loads(bench("fake", "newer", "--json", "--compare", path).out)
        assert found["compared"]["only_there"] == {"fake": ["bygone"]}
        assert found["cases"]["newer"][0]["compared"]["verdict"] == "no such case there"

    def test_another_machine_is_a_warning(self, bench, case, old):
        case(LINE)
        assert "warning" not in bench("fake", "--compare", old(LINE)).out
        path = old(LINE, facts={"flavor": "none", "load_average": 99.0, "rcu": "0.0"})
        found = json.loads(bench("fake", "--json", "--compare", path).out)["compared"]
        assert found["with"] == str(path)
        assert found["rcu"] == "0.0"
        [warning] = found["warnings"]
        assert warning.startswith("flavor was 'none', is ")
        assert f"warning: {warning}\n" in bench("fake", "--compare", path).out

    def test_other_processes_are_a_warning(self, bench, case, old):
        case(LINE)
        [warning] = json.loads(bench("fake", "--json", "--compare", old(LINE, processes=5)).out)["compared"]["warnings"]
        assert "5 processes" in warning

    def test_the_facts_that_decide_are_there(self):
        assert set(DECISIVE) < set(machine())

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"meaningful": False}, "--quick"),
            ({"cases": {}}, "has none of the cases fake; it has none at all"),
            ({"cases": {"other": []}}, "has none of the cases fake; it has other"),
            ({"cases": []}, "is not what"),
            ({"cases": {"fake": [{"what": "thing"}]}}, "'target' is missing"),
            ({"cases": {"fake": ["thing"]}}, "is not what"),
            ({"processes": "some"}, "is not what"),
            ({"machine": None}, "is not what"),
        ],
    )
    def test_a_file_of_no_use(self, bench, case, old, changes, reason):
        case(LINE, then=never)
        path = old(LINE, **changes)
        err = bench("fake", "--compare", path, code=2).err
        assert err.startswith(f"{PROG}: error: --compare: {path} ")
        assert reason in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "no JSON"),
            (b"{", "no JSON"),
            (b"[1]", ""),
            (b"3", ""),
            (b'{"a": 1}', "'meaningful' is missing"),
            (b"\xff", ""),
        ],
    )
    def test_a_file_that_is_no_run(self, bench, case, tmp_path, content, reason):
        case(LINE, then=never)
        path = tmp_path / "old.json"
        path.write_bytes(content)
        err = bench("fake", "--compare", path, code=2).err
        assert f"--compare: {path} is not what 'python -m rcu bench --json' prints: " in err
        assert reason in err

    def test_a_file_that_is_not_there(self, bench, tmp_path):
        path = tmp_path / "none.json"
        assert f"--compare: {path}: No such file" in bench("scan", "--compare", path, code=2).err
        with pytest.raises(RecordError):
            record.read(tmp_path)

    def test_not_with_quick(self, bench, old):
        assert "--quick" in bench("scan", "--quick", "--compare", old(LINE), code=2).err

    def test_a_file_may_be_compared_with_and_replaced(self, bench, case, old):
        path = old(LINE)
        case(replace(LINE, spread=Spread(9.0, 8.0, 10.0)))
        assert "worse" in bench("fake", "--compare", path, "--save", path).out
        assert record.read(path).cases["fake"][0].spread.median == 9.0


class TestMachine:
    def test_governor(self, monkeypatch, tmp_path):
        monkeypatch.setattr("rcu.bench.machine._GOVERNORS", tmp_path)
        facts = machine()
        assert facts["governor"] is None
        assert "governor" not in report.heading(facts, Scale(quick=True), 1)
        for number in processors():
            folder = tmp_path / f"cpu{number}" / "cpufreq"
            folder.mkdir(parents=True)
            (folder / "scaling_governor").write_text("powersave\n")
        facts = machine()
        assert facts["governor"] == "powersave"
        assert "governor powersave" in report.heading(facts, Scale(quick=False), 1)

    def test_processes_are_stated(self):
        assert "of 5 processes" in report.heading(machine(), Scale(quick=False), 5)
