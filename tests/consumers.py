"""Extensions of someone else: tests/consumer/, built in a fresh virtual environment from an installed wheel of rcu."""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import wheels
from threads import PATIENCE

SOURCES = Path(__file__).with_name("consumer")
TOOLS = ("setuptools>=80", "Cython>=3.3.1")

WHERE = """
import rcu
print(rcu.__file__)
print(rcu.get_include())
"""


ATTEMPTS = 20


def noticed(run, *, unlike=None):
    """Does one of many runs fail, and not for a reason that is `unlike` a fault? Whether a reader meets a planted fault
    is chance; that none ever does says that no test would see it."""
    tries = (run() for _ in range(ATTEMPTS))
    return any(done.returncode != 0 and (unlike is None or unlike not in done.stderr) for done in tries)


@contextlib.contextmanager
def locked(path):
    """One process at a time."""
    import fcntl

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Consumers:
    """A virtual environment with rcu and what is built on it. All of pytest's workers share one: what has been made
    by one of them, the others find."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.env = folder / "env"
        self.bin = Path(sysconfig.get_path("scripts", "venv", {"base": str(self.env)}))
        self.python = self.bin / Path(sys.executable).name
        self._once("env", self._make)

    # ---- what tests do ---------------------------------------------------------------------------------------------

    def install(self, name, *, variant=None, edit=None, **environment):
        """Builds tests/consumer/NAME with the lines of its own setup.py. A variant, which is built from an edited
        copy or with another environment, is kept out of the virtual environment, in the folder that is returned, for
        `run()`."""
        target = self.folder / f"{name}-{variant}" if variant else None

        def make():
            project = self.copy(name, variant)
            if edit:
                edit(project)
            self._install(project, target, environment)

        self._once(f"{name}-{variant or 'plain'}", make)
        return target

    def copy(self, name, variant=None):
        """The project, where a build may write into it."""
        copy = self.folder / "source" / f"{name}-{variant or 'plain'}"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(SOURCES / name, copy))

    def require(self, *requirements):
        """More packages for the virtual environment."""
        self._once("-".join(requirements), lambda: self._pip("install", *requirements))

    def run(self, code, *folders, options=(), check=True):
        """Runs code on the virtual environment's interpreter, which imports from these folders first (None: there is
        none); returns what it printed, or without `check` what became of it."""
        begin = "import sys\n" + "".join(f"sys.path.insert(0, {str(folder)!r})\n" for folder in folders if folder)
        done = self.command(self.python, "-I", *options, "-c", begin + code)
        if not check:
            return done
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *command, cwd=None, **environment):
        """Runs a command that sees the virtual environment, and nothing of the checkout."""
        inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        path = os.pathsep.join([str(self.bin), inherited.get("PATH", os.defpath)])
        return subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=inherited | {"PATH": path, "VIRTUAL_ENV": str(self.env)} | environment,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
            check=False,
        )

    # ---- how it comes about ----------------------------------------------------------------------------------------

    def _once(self, what, make):
        """Of all workers the first one makes it; if that fails, it does for all."""
        said = self.folder / f"{what.replace('/', '-')}.said"
        with locked(self.folder / "lock"):
            if not said.exists():
                try:
                    make()
                    error = ""
                except (AssertionError, subprocess.TimeoutExpired) as failed:
                    error = str(failed)
                said.write_text(error)
            error = said.read_text()
        if error:
            pytest.fail(f"{what}: {error}", pytrace=False)

    def _make(self):
        self._succeed(sys.executable, "-m", "venv", str(self.env))
        self._pip("install", *TOOLS)
        self._pip("install", "--no-deps", "--no-index", str(wheels.wheel_of_this(self.folder)))
        for line in self.run(WHERE).splitlines():
            assert Path(line).is_relative_to(self.env), f"{line}: not of the virtual environment"

    def _install(self, project, target, environment):
        where = ("--target", str(target)) if target else ()
        self._pip("install", "--no-build-isolation", "--no-deps", "--no-index", *where, str(project), **environment)

    def _pip(self, *arguments, **environment):
        self._succeed(self.python, "-I", "-m", "pip", "--disable-pip-version-check", *arguments, **environment)

    def _succeed(self, *command, **environment):
        done = self.command(*command, **environment)
        assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
