"""Python code in a process of its own, on this interpreter, and what memory a process has."""

import os
import subprocess
import sys

from rcu.bench.measure import NotMeasured


def run_apart(code: str, *arguments: str, timeout: float | None = None) -> str:
    """What the code prints, which finds the arguments in `sys.argv[1:]`. It imports what this process would."""
    options = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    path = [entry or "." for entry in sys.path]
    code = f"import sys; sys.path[:] = {path!r}\n{code}"
    try:
        done = subprocess.run(
            [sys.executable, *options, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotMeasured("a process of its own took too long; try on a machine with less to do") from error
    if done.returncode != 0:
        raise NotMeasured(f"a process of its own failed: {(done.stderr.splitlines() or ['no word'])[-1]}")
    return done.stdout


def resident() -> int:
    """Bytes of this process that are in memory now."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError as error:
        raise NotMeasured("only Linux says at any time what memory is resident (/proc/self/statm)") from error
