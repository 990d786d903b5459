"""Runs a command in a process of its own."""

import os
import subprocess
import sys
import sysconfig

import pytest

from threads import PATIENCE

PYTHON = (sys.executable, "-P")
"""This interpreter, which does not import from the folder that it is started in."""

starts_threads_in_a_child = pytest.mark.skipif(
    "--with-thread-sanitizer" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
    reason="ThreadSanitizer does not follow threads that start in a child of a process with threads: it crashes",
)


def run(*command, **environment):
    """Returns what became of it: exit code and what it printed."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment, check=False
    )


FORKS = """
import os, sys

def start_child(check):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            check()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def joined(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
"""The begin of a script that forks: what a child does, and that it did so without an error."""
