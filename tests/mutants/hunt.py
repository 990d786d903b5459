"""Builds mutants, one after the other, and requires that the check that the table names kills each.

    python hunt.py [--quick] [--sound N] [--work FOLDER] [NAME...]

Run by ci/mutants.sh, which makes the environment. `--sound N` runs the checks on the sources as they are instead,
N times each: there they have to find nothing.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from plant import ROOT

TORTURE = ("--seconds", "10", "--patience", "10")
LIMIT = 300  # seconds, after which a check that neither passes nor fails is taken for broken
QUICK = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a check: `killed` is None where it could not be run."""

    killed: bool | None
    seconds: float
    said: str


def build(name: str, work: Path) -> Path:
    """Builds the package with this mutant, or without one (""); returns the folder to import it from."""
    base = work / (name or "unmutated")
    command = [sys.executable, "setup.py", "-q", "build", "-j2", "--build-base", str(base)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"RCU_MUTANT": name}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{name or 'the package'} could not be built:\n{done.stdout}{done.stderr}")
    (lib,) = base.glob("lib*")
    return lib


def check(what: str, lib: Path, fence: bool) -> Found:
    """Runs a check on what was built there."""
    environment = os.environ | {"PYTHONPATH": str(lib), "PYTHONSAFEPATH": "1"}
    if fence:
        environment["RCU_FLAVOR"] = "fence"
    kind, *words = what.split()
    if kind == "torture":
        command = [sys.executable, "-m", "rcu", "torture", *words, *TORTURE]
    else:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            what,
        ]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=LIMIT, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(None, time.monotonic() - began, f"neither passed nor failed within {LIMIT} s")
    seconds = time.monotonic() - began
    said = _last_words(done.stdout + done.stderr)
    # 1 is what both say of what they found; a signal is a crash, which reading freed memory may well end in.
    killed = True if done.returncode == 1 or done.returncode < 0 else False if done.returncode == 0 else None
    return Found(killed, seconds, said if done.returncode >= 0 else f"crashed with signal {-done.returncode}")


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("violation:", "FAILED", "python -m rcu torture: --seed"))]
    return (telling or lines or ["nothing"])[0]
