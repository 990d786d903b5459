"""The command line."""

import json
import os
import sys
import sysconfig

import pytest

import processes
import rcu


def run(*arguments):
    return processes.run(*processes.PYTHON, "-m", "rcu", *arguments)


def test_alone_it_says_what_it_runs_on():
    done = run()
    assert done.returncode == 0
    assert done.stderr == ""
    words = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()}
    assert words["rcu"] == rcu.__version__
    assert words["flavor"] == rcu.flavor
    assert words["cores"] == str(os.process_cpu_count())
    assert words["interpreter"].startswith("CPython 3.")


def test_json():
    facts = json.loads(run("--json").stdout)
    assert facts["free_threaded"] == bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert facts["gil_enabled"] == getattr(sys, "_is_gil_enabled", lambda: True)()
    assert set(facts) == {"version", "interpreter", "free_threaded", "gil_enabled", "flavor", "cores"}


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["bench", "--help"]])
def test_help(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert " ".join(["python -m rcu", *arguments[:-1]]) in done.stdout
    assert "--json" in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["--json", "demo"]])
def test_arguments_that_make_no_sense(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert arguments[-1] in done.stderr
