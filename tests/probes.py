"""Builds probe/probe.c, an extension that has include/rcu/api.h as Python can call it."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import rcu

SOURCE = Path(__file__).with_name("probe") / "probe.c"
ATTACHED, DETACHED, FOREIGN = range(3)
"""How a probe does something: with the caller's thread state, without it, on a thread that never had one."""

DONE, IN_SECTION, IN_CALLBACK, TIMED_OUT, FINALIZING = range(5)
"""What becomes of a wait: enum rcu_outcome."""


def build(folder, *options, include=None):
    """Returns the folder that the module `probe` can be imported from."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        pytest.fail(f"no C compiler {(compiler or ['cc'])[0]!r}: install one (Debian: gcc libc6-dev), or set CC to it")
    module = folder / f"probe{sysconfig.get_config_var('EXT_SUFFIX')}"
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    folders = [f"-I{include or rcu.get_include()}", "-isystem", sysconfig.get_path("include")]
    command = [*compiler, "-std=c11", "-O2", "-g", *warnings, *folders, *options, "-fPIC", "-pthread", *shared]
    done = subprocess.run([*command, str(SOURCE), "-o", str(module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def load(folder):
    (path,) = folder.glob("probe*")
    spec = importlib.util.spec_from_file_location("probe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
