"""The benchmark: that each case measures, says what it could not measure, and prints what it promises."""

import itertools
import json
import os
import re
import shutil
import sys

import pytest

import rcu
from rcu import Domain
from rcu.bench import main, record, report
from rcu.bench.cases import CASES, section_c, section_python
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import BusyReader, Disturbed, NotMeasured, Scale, processors, repeated

PROG = "python -m rcu bench"
KEYS = {
    "graph",
    "more_is_better",
    "what",
    "unit",
    "median",
    "min",
    "max",
    "target",
    "verdict",
    "figures",
    "note",
    "not_measured",
}


@pytest.fixture
def bench(capsys):
    """Runs it; returns what it printed."""

    def run(*arguments, code=0):
        assert main(list(arguments), PROG) == code
        return capsys.readouterr()

    return run


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A compiler that fails with the message given to it."""

    def make(complaint):
        if sys.platform == "win32":
            pytest.skip("the stand-in is a shell script")
        path = tmp_path / "cc"
        path.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))

    return make


def lines_of(captured, case):
    assert captured.err == ""
    return json.loads(captured.out)["cases"][case]


@pytest.mark.parametrize("case", CASES)
def test_each_case_yields_lines(bench, case):
    found = json.loads(bench("--quick", "--json", case).out)
    assert found["meaningful"] is False
    assert found["machine"]["flavor"] == rcu.flavor
    assert found["machine"]["gil"] == getattr(sys, "_is_gil_enabled", lambda: True)()
    assert list(found["cases"]) == [case]
    assert found["cases"][case]
    names = [line["what"] for line in found["cases"][case]]
    assert len(set(names)) == len(names), "older runs are compared by these"
    for line in found["cases"][case]:
        assert set(line) == KEYS
        assert line["what"]
        if line["graph"] is not None:
            assert re.fullmatch("[a-z0-9-]+", line["graph"]["name"]), "is part of a file's name"
            assert line["graph"]["curves"]
            assert all(curve["points"] for curve in line["graph"]["curves"])
        if line["not_measured"] is None and (line["graph"] is None or line["median"] is not None):
            assert 0 <= line["min"] <= line["median"] <= line["max"]
            assert line["figures"]
            assert line["verdict"] == (line["target"] and "not judged")
        else:
            assert line["median"] is None
            assert line["verdict"] is None


def test_text(bench):
    out = bench("--quick", "grace_idle", "scan", "grace_idle").out
    assert rcu.flavor in out
    assert "figures mean nothing" in out
    assert out.index("\ngrace_idle: ") < out.index("\nscan: ")
    assert out.count("grace_idle: ") == 1
    assert "target <= 400 ns: not judged" in out


def test_what_is_idle_issues_no_barrier(bench):
    for case in "grace_idle", "scan":
        for line in lines_of(bench("--quick", "--json", case), case):
            assert line["figures"]["heavy barriers issued"] == 0
            assert line["note"] == ""


def test_help_names_the_cases(bench):
    out = bench("--help").out
    assert all(case in out for case in CASES)
    assert PROG in out


@pytest.mark.parametrize("argument", ["nonsense", "--nonsense"])
def test_an_unknown_argument_is_one_line(bench, argument):
    captured = bench("scan", argument, code=2)
    assert captured.out == ""
    assert captured.err.startswith(f"{PROG}: error: ")
    assert argument in captured.err
    assert captured.err.count("\n") == 1


def test_an_unknown_case_is_told_the_known_ones(bench):
    said = bench("nonsense", code=2).err
    assert all(case in said for case in CASES)


def test_an_interruption(bench, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(section_c, "run", interrupted)
    captured = bench("--quick", "--json", "section_c", code=130)
    assert captured.out == ""
    assert "interrupted" in captured.err


@pytest.mark.skipif(rcu.flavor == "fence", reason="there, a section is not inline and the case is left out")
class TestWithout:
    @pytest.mark.parametrize(
        "complaint",
        [
            "sections.c:9:10: fatal error: urcu/urcu-memb.h: No such file or directory",
            'sections.c:9:10: fatal error: "urcu/urcu-memb.h" file not found',
            "ld: cannot find -lurcu-memb: No such file or directory",
            "ld.lld: error: unable to find library -lurcu-memb",
        ],
    )
    def test_liburcu(self, bench, compiler, complaint):
        compiler(complaint)
        [line] = lines_of(bench("--quick", "--json", "section_c"), "section_c")
        assert line["not_measured"].startswith("liburcu is not installed; install it (Debian: liburcu-dev")
        assert "not measured: liburcu" in bench("--quick", "section_c").out

    def test_a_compiler(self, bench, monkeypatch):
        monkeypatch.setenv("CC", "no-such-compiler -pipe")
        [line] = lines_of(bench("--quick", "--json", "section_c"), "section_c")
        assert "no C compiler 'no-such-compiler'; install one" in line["not_measured"]

    def test_a_compiler_that_works(self, bench, compiler):
        compiler("cc: internal compiler error")
        [line] = lines_of(bench("--quick", "--json", "section_c"), "section_c")
        assert line["not_measured"] == "cc failed: cc: internal compiler error"


def test_without_a_second_processor(bench, monkeypatch):
    monkeypatch.setattr("rcu.bench.measure.processors", lambda: [0])
    monkeypatch.setattr("rcu.bench.laps.processors", lambda: [0])
    monkeypatch.setattr("rcu.bench.cases.section_python.processors", lambda: [0])
    for case in "grace_busy", "grace_shared":
        assert all(line["not_measured"] for line in lines_of(bench("--quick", "--json", case), case))
    alone, *together = lines_of(bench("--quick", "--json", "section_python"), "section_python")
    assert alone["not_measured"] is None
    assert together
    assert all(line["not_measured"] for line in together)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="3.13 has no target there")
def test_the_lock_has_no_target_with_the_gil(monkeypatch):
    for free, expected in (True, True), (False, False):
        monkeypatch.setattr(section_python, "free_threaded", lambda free=free: free)
        assert (section_python.lock_target() is not None) is expected


@pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")
def test_a_section_in_c_is_measured_where_liburcu_is(bench):
    [line] = lines_of(bench("--quick", "--json", "section_c"), "section_c")
    if line["not_measured"] is not None:
        pytest.skip(line["not_measured"])
    assert "membarrier" in line["note"]


class TestRepeated:
    def test_what_was_disturbed_is_made_again(self):
        disturb = itertools.cycle([False, True])

        def measure():
            if next(disturb):
                raise Disturbed
            return 1

        found, said = repeated(Scale(quick=False), 6, measure, here=False)
        assert found == [1] * 6
        assert said.endswith(": 6 repeats")

    def test_one_that_is_always_disturbed_is_not_measured(self):
        def measure():
            raise Disturbed

        with pytest.raises(NotMeasured, match="idle"):
            repeated(Scale(quick=False), 6, measure)

    def test_the_reader_runs_until_it_is_left(self):
        domain = Domain()
        with BusyReader(domain, 0, processors()[-1]) as busy:
            assert busy.watch(Scale(quick=True), lambda: 3) == 3
            assert domain.stats().threads == 1
        assert domain.stats().threads == 0


class TestReport:
    LINE = Line("thing", Spread(2.0, 1.0, 3.0), "x", Target(1.5), {"it ns": 1234.5}, "by the way")

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            (Target(1.5), "missed"),
            (Target(2.0), "ok"),
            (Target(3.0, low=2.5), "missed"),
            (Target(3.0, low=2.0), "ok"),
            (Target(low=2.0), "ok"),
            (Target(low=2.5), "missed"),
            (None, None),
        ],
    )
    def test_verdict(self, target, expected):
        line = Line("thing", self.LINE.spread, target=target)
        assert record.verdict(line, meaningful=True) == expected

    def test_what_is_judged_is_what_is_printed(self):
        assert Target(0.6).met_by(Spread.of([0.6004]))
        assert not Target(0.6).met_by(Spread.of([0.606]))

    def test_a_missed_target_is_printed(self):
        assert report.text(self.LINE, Scale(quick=False)).splitlines() == [
            "  thing",
            "    2 x (1..3)   target <= 1.5 x: missed",
            "    it ns 1,234",
            "    by the way",
        ]

    def test_spread(self):
        assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
