"""Programs in C that use liburcu, compiled here and run beside what they are compared with."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rcu
from rcu.bench.measure import NotMeasured

_SOURCES = Path(__file__).parent / "native"
_LIBRARIES = ["-lurcu-memb", "-lurcu-common"]
_NO_LIBURCU = re.compile(r"urcu/urcu-memb\.h.*(No such file|not found)|(cannot|unable to) find.*-lurcu")


@contextlib.contextmanager
def program(name: str) -> Iterator[str]:
    """The path of a program from native/, which is there until the context ends."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise NotMeasured(
            f"no C compiler {(compiler or ['cc'])[0]!r}; install one (Debian: gcc libc6-dev), or set CC to it"
        )
    with tempfile.TemporaryDirectory(prefix="rcu-bench-") as directory:
        path = str(Path(directory) / name)
        source = str(_SOURCES / f"{name}.c")
        call([*compiler, "-O2", f"-I{rcu.get_include()}", "-o", path, source, *_LIBRARIES, "-pthread"])
        yield path


def call(command: list[str]) -> str:
    """What it prints. LC_ALL, for its complaints are read."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    except OSError as error:
        raise NotMeasured(f"{command[0]} does not run: {error.strerror}") from error
    if done.returncode == 0:
        return done.stdout
    if _NO_LIBURCU.search(done.stderr):
        raise NotMeasured("liburcu is not installed; install it (Debian: liburcu-dev, Fedora: userspace-rcu-devel)")
    complaints = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
    reason = complaints[0] if complaints else f"exit code {done.returncode}"
    raise NotMeasured(f"{Path(command[0]).name} failed: {reason}")
