"""The scripts in ci/: what they promise to a newcomer."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import processes

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "ci").glob("*.sh"))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the scripts are for the POSIX shell")


def sh(script, *arguments, **environment):
    return processes.run("sh", str(ROOT / "ci" / script), *arguments, **environment)


def test_rcu_python_is_taken_at_its_word():
    done = sh("python.sh", RCU_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert len(found) == 1
    assert os.path.samefile(shutil.which(found[0]), sys.executable)


@pytest.mark.parametrize("value", ["/nowhere/python", "/bin/sh"])
def test_rcu_python_that_is_no_python(value):
    done = sh("python.sh", RCU_PYTHON=value)
    assert done.returncode != 0
    assert done.stdout == ""
    assert value in done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_names_a_registry_or_a_place_of_one_machine(path):
    text = path.read_text()
    assert "http://" not in text
    assert "https://" not in text
    absolute = set(re.findall(r"""(?<![\w}$"'*.)\]/])(/[a-z]\w*)/""", text))
    assert absolute <= {"/bin", "/dev", "/etc", "/path", "/usr"}
