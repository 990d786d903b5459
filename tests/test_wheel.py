"""The package as others get it: a wheel from the source distribution alone, and an editable install."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import rcu
from wheels import copy_checkout, hook

ROOT = Path(__file__).parents[1]
HEADERS = {path.name for path in (ROOT / "include" / "rcu").glob("*.h")}


def python(code, *folders):
    """Runs code that sees these folders as installed, and nothing else that is."""
    begin = "import sys, site\n" + "".join(f"site.addsitedir({str(folder)!r})\n" for folder in folders)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", begin + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path):
    return copy_checkout(tmp_path / "checkout")


USE = """
import rcu
from pathlib import Path
with rcu.default_domain:
    pass
rcu.synchronize()
print(rcu.__file__)
print(rcu.get_include())
print(*sorted(path.name for path in Path(rcu.get_include(), "rcu").glob("*.h")))
"""


def test_a_wheel_builds_from_the_source_distribution_alone(checkout, tmp_path):
    sdist = hook(checkout, "build_sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (source,) = (tmp_path / "sdist").iterdir()
    assert not [path for path in (source / "rcu").rglob("*.c") if path.parent.name != "native"], "generated files"
    assert (source / "tests" / "test_wheel.py").exists()

    wheel = hook(source, "build_wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "wheel")
    assert {f"rcu/include/rcu/{header}" for header in HEADERS} <= names
    stubs = {f"rcu/{path.name}" for path in (ROOT / "rcu").glob("*.p*") if path.suffix in (".pxd", ".pyi")}
    assert stubs | {"rcu/py.typed", "rcu/demo/routes.toml"} <= names
    assert {f"rcu/bench/native/{path.name}" for path in (ROOT / "rcu" / "bench" / "native").iterdir()} <= names
    assert any(re.fullmatch(r"rcu-.*\.dist-info/licenses/LICENSE", name) for name in names)
    assert not [name for name in names if name.endswith((".pyx", ".c", ".html")) and "/native/" not in name]

    where, include, headers = python(USE, tmp_path / "wheel").splitlines()
    assert Path(where).is_relative_to(tmp_path / "wheel")
    assert Path(include).is_relative_to(tmp_path / "wheel")
    assert set(headers.split()) == HEADERS


def test_an_editable_install_works_headers_included(checkout, tmp_path):
    wheel = hook(checkout, "build_editable")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    where, include, headers = python(USE, tmp_path / "site").splitlines()
    assert Path(where).is_relative_to(checkout)
    assert Path(include) == checkout / "include"
    assert set(headers.split()) == HEADERS


def test_the_headers_of_this_install_are_found():
    assert {path.name for path in Path(rcu.get_include(), "rcu").glob("*.h")} == HEADERS
