"""The benchmark's graphs, as text and as pictures."""

import importlib.util
import json
import re
import sys
import xml.etree.ElementTree
from dataclasses import replace
from types import SimpleNamespace

import pytest

from rcu.bench import main, report
from rcu.bench.cases import CASES
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.machine import interpreter_and_machine, machine
from rcu.bench.measure import Scale
from rcu.bench.record import Run

PROG = "python -m rcu bench"

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed; pip install 'rcu[plot]'"
)


def around(value):
    return Spread(value, value * 0.9, value * 1.1)


GRAPH = Graph(
    "threads",
    "Reads of one value",
    "threads",
    "million reads/s",
    [
        Curve("cell.value", [(1, around(70.0)), (2, around(140.0))]),
        Curve("lock", [(1, around(11.0)), (2, around(6.125)), (4, around(5.0))]),
    ],
)
MANY = Graph("memory", "Memory held", "s", "MB", [Curve("all of it", [(i / 10, around(5.0 + i)) for i in range(100)])])


@pytest.fixture
def fake(monkeypatch):
    """Adds a case that finds these graphs."""

    def add(*graphs, then=lambda: None):
        def run(_):
            then()
            return [Line(graph.title, graph=graph) for graph in graphs]

        monkeypatch.setitem(CASES, "fake", SimpleNamespace(TITLE="a case for this test", run=run))

    return add


def picture(graph, folder, **changes):
    """The SVG, as text."""
    from rcu.bench.plot import save

    run = replace(Run(True, 1, machine(), {"fake": [Line("it", graph=graph)]}), **changes)
    [path] = save(run, folder)
    return path.read_text()


def words(svg):
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


class TestText:
    def test_an_aligned_table(self):
        assert report.text(Line("it", graph=GRAPH), Scale(quick=False)).splitlines() == [
            "  it",
            "    Reads of one value; million reads/s",
            "    threads  cell.value  lock",
            "          1          70    11",
            "          2         140  6.12",
            "          4           -     5",
        ]

    def test_of_many_points_some(self):
        rows = report.text(Line("it", graph=MANY), Scale(quick=False)).splitlines()
        assert rows[1].endswith("MB (12 of 100 points)")
        assert len(rows) == 3 + 12
        assert len({len(row) for row in rows[2:]}) == 1

    def test_json_has_all(self, capsys, fake):
        fake(MANY)
        assert main(["fake", "--json"], PROG) == 0
        [line] = json.loads(capsys.readouterr().out)["cases"]["fake"]
        [curve] = line["graph"]["curves"]
        assert len(curve["points"]) == 100
        assert curve["points"][0] == {"x": 0.0, "median": 5.0, "min": 4.5, "max": 5.5}
        assert line["median"] is None
        assert line["verdict"] is None


class TestOption:
    def test_without_matplotlib(self, monkeypatch, capsys, tmp_path, fake):
        fake(GRAPH, then=lambda: pytest.fail("measured in vain"))
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert main(["fake", "--plot", str(tmp_path)], PROG) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == (
            f"{PROG}: error: --plot: the package 'matplotlib' is not installed; pip install 'rcu[plot]'\n"
        )

    @needs_matplotlib
    def test_a_file_in_the_way(self, capsys, tmp_path, fake):
        fake(GRAPH, then=lambda: pytest.fail("measured in vain"))
        place = tmp_path / "file"
        place.touch()
        assert main(["fake", f"--plot={place}"], PROG) == 2
        assert capsys.readouterr().err.startswith(f"{PROG}: error: --plot {place}: ")

    @needs_matplotlib
    def test_each_graph_is_a_file(self, capsys, tmp_path, fake):
        fake(GRAPH, MANY)
        place = tmp_path / "new" / "folder"
        assert main(["fake", f"--plot={place}", "--quick"], PROG) == 0
        paths = [place / "fake-threads.svg", place / "fake-memory.svg"]
        assert sorted(place.iterdir()) == sorted(paths)
        out = capsys.readouterr().out
        assert all(f"wrote {path}\n" in out for path in paths)
        assert "--quick: the figures mean nothing" in words(paths[0].read_text())

    @needs_matplotlib
    def test_with_json_nothing_else_is_printed(self, capsys, tmp_path, fake):
        fake(GRAPH)
        assert main(["fake", f"--plot={tmp_path}", "--json"], PROG) == 0
        json.loads(capsys.readouterr().out)
        assert (tmp_path / "fake-threads.svg").is_file()

    @needs_matplotlib
    def test_without_a_graph(self, capsys, tmp_path, fake):
        fake()
        assert main(["fake", f"--plot={tmp_path}"], PROG) == 0
        assert "no graph" in capsys.readouterr().out


@needs_matplotlib
class TestPicture:
    def test_it_says_what_and_where(self, tmp_path):
        said = words(picture(GRAPH, tmp_path))
        expected = [GRAPH.title, GRAPH.x, GRAPH.y, "cell.value", "lock", "1", "2", "4"]
        assert set(expected) <= set(said)
        assert set(interpreter_and_machine(machine())) <= set(said)

    def test_processes_are_stated(self, tmp_path):
        assert any("5 processes" in word for word in words(picture(GRAPH, tmp_path, processes=5)))

    @pytest.mark.parametrize("graph", [GRAPH, MANY, replace(GRAPH, log_x=True, log_y=True)])
    def test_the_same_figures_are_the_same_bytes(self, tmp_path, graph):
        first = picture(graph, tmp_path)
        assert picture(graph, tmp_path) == first
        assert "<dc:date>" not in first
        assert xml.etree.ElementTree.fromstring(first).tag.endswith("svg")

    def test_other_figures_are_not(self, tmp_path):
        wider = [
            replace(curve, points=[(x, replace(spread, high=spread.high * 2)) for x, spread in curve.points])
            for curve in GRAPH.curves
        ]
        assert picture(replace(GRAPH, curves=wider), tmp_path) != picture(GRAPH, tmp_path), "the spread is drawn"

    def test_zero_has_a_place_on_a_logarithmic_axis(self, tmp_path):
        points = [(x, Spread(x, x, x)) for x in (0, 1, 100, 10_000)]
        said = words(picture(replace(GRAPH, curves=[Curve("a", points)], log_x=True, log_y=True), tmp_path))
        assert {"0", "1", "100", "10,000"} <= set(said)
        assert said.count("0") == 2

    def test_a_short_logarithmic_axis_has_more_than_a_power_of_ten(self, tmp_path):
        points = [(x, around(30.0 * x)) for x in (1, 2, 3)]
        said = words(picture(replace(GRAPH, curves=[Curve("a", points)], log_y=True), tmp_path))
        assert {"50", "100"} <= set(said)

    def test_more_curves_than_colours(self, tmp_path):
        curves = [Curve(f"number {i}", [(1, around(i + 1.0))]) for i in range(15)]
        assert {curve.name for curve in curves} <= set(words(picture(replace(GRAPH, curves=curves), tmp_path)))
