"""A section in C beside liburcu's: a program of its own, compiled here."""

import os
import re
import shlex
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import rcu
from rcu.bench.measure import Line, NotMeasured, Scale, Target, pinned, processors, ratios

TITLE = "a section in C, on a known slot, beside one of liburcu-memb, inline"
SOURCE = Path(__file__).parent.parent / "native" / "sections.c"
TARGET = Target(1.0)
_LIBRARIES = ["-lurcu-memb", "-lurcu-common"]
_NO_LIBURCU = re.compile(r"urcu/urcu-memb\.h.*(No such file|not found)|(cannot|unable to) find.*-lurcu")
# Where a program's code and data lie differs from start to start, and shows at this scale.
_STARTS = 5


def run(scale: Scale) -> list[Line]:
    if rcu.flavor == "fence":
        raise NotMeasured(
            "this process has the fence flavor, whose sections are not inline; unset RCU_FLAVOR, or run on a "
            "system with a heavy barrier"
        )
    ordered_by, rounds = _measure(scale)
    ours, theirs, nothing = zip(*rounds, strict=True)
    line = Line(
        "rcu / liburcu-memb",
        ratios(ours, theirs),
        "x",
        TARGET,
        {
            "rcu ns": statistics.median(ours),
            "liburcu ns": statistics.median(theirs),
            "loop without a section ns": statistics.median(nothing),
        },
        f"liburcu's readers are ordered by a {ordered_by}",
    )
    return [line]


def _measure(scale: Scale) -> tuple[str, list[list[float]]]:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise NotMeasured(
            f"no C compiler {(compiler or ['cc'])[0]!r}; install one (Debian: gcc libc6-dev), or set CC to it"
        )
    rounds: list[list[float]] = []
    with tempfile.TemporaryDirectory(prefix="rcu-bench-") as directory:
        program = Path(directory) / "sections"
        _call(
            [
                *compiler,
                "-O2",
                f"-I{rcu.get_include()}",
                "-o",
                str(program),
                str(SOURCE),
                *_LIBRARIES,
                "-pthread",
            ]
        )
        for _ in range(scale.count(_STARTS, 2)):
            with pinned(processors()[-1]):  # the program inherits it
                said = _call([str(program), str(scale.count(101, 2)), str(scale.count(200_000, 800))])
            ordered_by, *lines = said.splitlines()
            rounds += [[float(word) for word in line.split()] for line in lines]
    if not rounds:
        raise NotMeasured("other programs took the processor all the time; try while the machine is idle")
    return ordered_by, rounds


def _call(command: list[str]) -> str:
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
