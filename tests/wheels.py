"""Wheels of this package: built from a checkout, or packed again from what is installed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import rcu

ROOT = Path(__file__).parents[1]
# How fast the result is does not matter here, how fast it is built does.
QUICK = {"RCU_CFLAGS": "-O0"}


def copy_checkout(copy):
    """A copy of what is versioned, nearly: nothing that was built."""
    built = shutil.ignore_patterns(
        "*.so", "*.pyd", "*.html", "__pycache__", "build", "dist", "*.egg-info", ".*", "venv"
    )
    shutil.copytree(ROOT, copy, ignore=built)
    for written in (copy / "rcu").rglob("*.c"):
        if written.with_suffix(".pyx").exists():
            written.unlink()
    return copy


def hook(folder, call):
    """Calls a hook of the build backend, as pip does, and returns what it made."""
    out = folder.parent / "out"
    out.mkdir(exist_ok=True)
    code = f"import setuptools.build_meta as b; print(b.{call}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | QUICK, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / done.stdout.splitlines()[-1]


def wheel_of_this(folder):
    """A wheel of the rcu that is tested: of its files, where it is installed; else, in a checkout, a new one."""
    for found in importlib.metadata.distributions(name="rcu"):
        if found.read_text("WHEEL") and Path(found.locate_file("rcu/__init__.py")) == Path(rcu.__file__):
            return _packed(found, folder)
    return hook(copy_checkout(folder / "checkout"), "build_wheel")


def _packed(found, folder):
    (tag, *_) = [line.partition(": ")[2] for line in found.read_text("WHEEL").splitlines() if line.startswith("Tag: ")]
    path = folder / f"rcu-{found.version}-{tag}.whl"
    # Without what pip added to it when it was installed.
    added = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
    packed = [file for file in found.files if file.parts[0] != ".." and file.suffix != ".pyc"]
    record = []
    with zipfile.ZipFile(path, "w") as archive:
        for file in packed:
            if not (file.parts[0].endswith(".dist-info") and file.name in added):
                archive.write(file.locate(), file.as_posix())
                record.append(f"{file.as_posix()},{file.hash.mode}={file.hash.value},{file.size}\n")
            elif file.name == "RECORD":
                own = file.as_posix()
        archive.writestr(own, "".join([*record, f"{own},,\n"]))
    return path
