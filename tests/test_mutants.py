"""The mutants: that each can be planted in the sources as they are, and that its check exists."""

import ast
import re
import sys
from pathlib import Path

import pytest

import processes
from litmus import source
from litmus.code import killed_by
from mutants.plant import ROOT, Edit, apply, mutants, plant
from rcu.torture.modes import MODES

MUTANTS = mutants()
MODEL = (ROOT / "tests" / "model" / "runs.txt").read_text()
TABLE = (ROOT / "include" / "rcu" / "barrier.h").read_text()


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 20
    assert sum(mutant.quick for mutant in MUTANTS.values()) == 5
    assert {mutant.killed_by.split()[0] for mutant in MUTANTS.values()} >= {"litmus", "torture"}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_it_fits_the_sources(mutant, tmp_path):
    folder = plant(mutant.name, tmp_path)
    changed = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.*")
        if path.read_bytes() != (ROOT / path.relative_to(folder)).read_bytes()
    }
    assert changed == {edit.file for edit in mutant.edits}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_its_check_exists(mutant):
    kind, *words = mutant.killed_by.split()
    if kind == "torture":
        assert set(words) <= set(MODES)
    elif kind.startswith("tests/"):
        file, _, name = kind.partition("::")
        functions = {
            node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in functions
    elif kind == "model":
        assert f" {words[0]} " in MODEL
    elif words:
        assert " ".join(words) in {
            str(variant) for test in source.tests() for variant in test.weakened if variant.sometimes
        }
    else:
        (edit,) = mutant.edits
        assert kind == "litmus"
        assert killed_by(edit.file, edit.old, edit.new)


def test_what_x86_cannot_show_is_killed_where_it_shows():
    assert all(mutant.killed_by.startswith("litmus") for mutant in MUTANTS.values() if not mutant.x86)


def test_each_label_has_a_mutant():
    labels = set(re.findall(r"^ \*   \[(\w)\]", TABLE, re.M))
    assert labels <= set(re.findall(r"\[(\w)\]", "".join(mutant.what for mutant in MUTANTS.values())))


def test_an_edit_must_fit_once():
    with pytest.raises(ValueError, match="0 times"):
        apply(Edit("x.h", "old", "new"), "text")
    with pytest.raises(ValueError, match="2 times"):
        apply(Edit("x.h", "old", "new"), "old, old")
    assert apply(Edit("x.h", "old", "new"), "an old text") == "an new text"


def test_a_build_with_an_unknown_mutant_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = processes.run(sys.executable, "setup.py", "--version", RCU_MUTANT="nonsense")
    assert done.returncode != 0
    assert "'nonsense'" in done.stderr
    assert "exit-relaxed" in done.stderr
    assert not Path(ROOT, "build", "mutants", "nonsense").exists()
