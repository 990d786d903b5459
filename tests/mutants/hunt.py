"""Builds mutants, one after the other, and requires that the check that the table names kills each.

    python hunt.py --work FOLDER --herd COMMAND [--quick] [--sound N] [NAME...]

Run by ci/mutants.sh, which makes the environment. `--sound N` runs the checks on the sources as they are instead,
N times each: there they have to find nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from plant import ROOT, Mutant, mutants

TORTURE = ("--seconds", "5", "--patience", "10")
ATTEMPTS = 6  # of a check that depends on timing; `--sound` says how often one of them passes without a fault
LIMIT = 600  # seconds, after which a check that neither passes nor fails is taken for broken


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a check: `killed` is None where it could not be run."""

    killed: bool | None
    seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class Hunt:
    """Where mutants are built, and what runs litmus tests."""

    work: Path
    herd: str

    def sources(self) -> Path:
        """A copy of what the package is built from: nothing is written to the checkout."""
        copy = self.work / "sources"
        if not copy.exists():
            built = shutil.ignore_patterns("*.so", "*.pyd", "*.html", "__pycache__")
            for folder in ("rcu", "include", "tests/mutants"):
                shutil.copytree(ROOT / folder, copy / folder, ignore=built)
            for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, copy)
        return copy

    def build(self, name: str) -> Path:
        """Builds the package with this mutant, or without one (""); returns the folder to import it from."""
        base = self.work / (name or "unmutated")
        shutil.rmtree(base, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build", "-j2", "--build-base", str(base)],
            cwd=self.sources(),
            env=os.environ | {"RCU_MUTANT": name},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{name or 'the package'} could not be built:\n{done.stdout}{done.stderr}")
        (lib,) = base.glob("lib*")
        # Beside what is compiled, for extensions that tests build are compiled with these.
        planted = self.sources() / "build" / "mutants" / name / "include"
        if name:
            shutil.copytree(planted, lib / "rcu" / "include", dirs_exist_ok=True)
        return lib

    def check(self, mutant: Mutant, lib: Path, planted: bool = True) -> Found:
        """Runs the check that has to kill the mutant on what was built there."""
        environment = os.environ | {"PYTHONPATH": str(lib), "PYTHONSAFEPATH": "1"}
        if mutant.fence:
            environment["RCU_FLAVOR"] = "fence"
        kind, *words = mutant.killed_by.split()
        if kind == "litmus":
            return self.litmus([" ".join(words)] if words else weakenings(mutant), planted)
        if kind == "model":
            command = ["sh", "ci/model.sh", *(["--mutants", *words] if planted else [])]
            return _run(command, environment, lambda code: {0: planted}.get(code))
        if kind == "torture":
            command = [sys.executable, "-m", "rcu", "torture", *words, *TORTURE]
        else:
            pytest = ("-m", "pytest", "-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider")
            command = [sys.executable, *pytest, mutant.killed_by]
        # 1 is what both say of what they found; a signal is a crash, in which reading freed memory may well end.
        return _run(command, environment, lambda code: True if code == 1 or code < 0 else False if code == 0 else None)

    def litmus(self, names: list[str], planted: bool) -> Found:
        """Runs weakened tests that make the mutant's change, or the tests that they weaken."""
        if not names:
            return Found(False, 0.0, "no litmus test is weakened in this way")
        if not planted:
            names = sorted({name.partition(":")[0] for name in names})
        command = [sys.executable, "-m", "litmus", "--herd", self.herd, *names]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
        found = _run(command, environment, lambda code: {0: planted}.get(code))
        return Found(found.killed, found.seconds, f"litmus {', '.join(names)}" if found.killed else found.said)


def weakenings(mutant: Mutant) -> list[str]:
    """The weakened litmus tests that make the mutant's very change, and that some model then shows."""
    sys.path.insert(0, str(ROOT / "tests"))
    from litmus.code import killed_by

    (edit,) = mutant.edits
    return [str(variant) for variant in killed_by(edit.file, edit.old, edit.new)]


def _run(command: list[str], environment: dict[str, str], judge) -> Found:
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=LIMIT, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(None, time.monotonic() - began, f"neither passed nor failed within {LIMIT} s")
    said = _telling(done.stdout + done.stderr) if done.returncode >= 0 else f"crashed with signal {-done.returncode}"
    return Found(judge(done.returncode), time.monotonic() - began, said)


def _telling(text: str) -> str:
    """The line of an output that tells most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [line for line in lines if line.startswith(("violation:", "FAILED", "python -m rcu torture: --seed"))]
    return (found or lines[-1:] or ["nothing"])[0]


def hunt(hunt: Hunt, chosen: list[Mutant]) -> list[str]:
    """Kills mutants; returns the names of those that live."""
    width = max(len(mutant.name) for mutant in chosen)
    print(f"{'mutant':{width}}  {'killed by':42}  {'after':>7}  on x86  what it said")
    alive = []
    for mutant in chosen:
        lib = hunt.build(mutant.name)
        found = _insist(hunt, mutant, lib)
        shutil.rmtree(lib.parent)
        by = mutant.killed_by if found.killed else "NOT KILLED"
        print(
            f"{mutant.name:{width}}  {by:42}  {found.seconds:5.1f} s  {'yes' if mutant.x86 else 'never':6}  "
            f"{found.said[:110]}",
            flush=True,
        )
        if not found.killed:
            alive.append(mutant.name)
    return alive


def _insist(hunt: Hunt, mutant: Mutant, lib: Path) -> Found:
    """Runs a check that depends on timing again while it finds nothing: races are rare on a machine that is busy."""
    seconds = 0.0
    for _ in range(1 if mutant.deterministic else ATTEMPTS):
        found = hunt.check(mutant, lib)
        seconds += found.seconds
        if found.killed is not False:
            break
    return Found(found.killed, seconds, found.said)


def prove_sound(hunt: Hunt, chosen: list[Mutant], times: int) -> list[str]:
    """Runs each different check that often on the sources as they are; returns those that found something."""
    checks = {(mutant.killed_by, mutant.fence): mutant for mutant in chosen if not mutant.deterministic}
    checks |= {(mutant.name, False): mutant for mutant in chosen if mutant.deterministic}
    lib = hunt.build("")
    wrong = []
    for mutant in checks.values():
        rounds = 1 if mutant.deterministic else times
        flaws = [
            found
            for found in (hunt.check(mutant, lib, planted=False) for _ in range(rounds))
            if found.killed is not False
        ]
        flavor = " in the fence flavor" if mutant.fence and not mutant.deterministic else ""
        of = f" (for {mutant.name})" if mutant.deterministic else ""
        print(
            f"{mutant.killed_by}{of}{flavor}: passed {rounds - len(flaws)} of {rounds} times"
            f"{''.join(f'; {found.said}' for found in flaws[:3])}",
            flush=True,
        )
        if flaws:
            wrong.append(mutant.killed_by)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds mutants and requires that a check kills each.")
    parser.add_argument("names", metavar="MUTANT", nargs="*", help="these only (default: all)")
    parser.add_argument("--work", type=Path, required=True, help="folder to build in")
    parser.add_argument("--herd", default="herd7", help="what runs litmus tests (herd7)")
    parser.add_argument("--quick", action="store_true", help="those only that are killed soonest")
    parser.add_argument("--sound", type=int, metavar="N", help="run the checks on the sources as they are, N times")
    parser.add_argument("--list", action="store_true", help="say what there is, and do nothing")
    options = parser.parse_args()
    known = mutants()
    for name in options.names:
        if name not in known:
            parser.error(f"there is no mutant {name!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in options.names or known]
    if options.quick:
        chosen = [mutant for mutant in chosen if mutant.quick]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.what}; killed by {mutant.killed_by}")
        return
    where = Hunt(options.work, options.herd)
    if options.sound:
        wrong = prove_sound(where, chosen, options.sound)
        sys.exit(f"checks that find fault with what has none: {', '.join(wrong)}" if wrong else None)
    alive = hunt(where, chosen)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} mutants killed")
    sys.exit(f"alive: {', '.join(alive)}" if alive else None)


if __name__ == "__main__":
    main()
