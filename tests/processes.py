"""Runs a command in a process of its own."""

import os
import subprocess
import sys

from threads import PATIENCE

PYTHON = (sys.executable, "-P")
"""This interpreter, which does not import from the folder that it is started in."""


def run(*command, **environment):
    """Returns what became of it: exit code and what it printed."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment, check=False
    )
