"""Extensions of someone else, as tests/consumer/ has them, where rcu is a package like others: in C."""

import re
from pathlib import Path

STRICT = "-std=c11 -Wall -Wextra -Werror -pedantic"


def test_headers_come_from_the_package(consumers, tmp_path):
    # GCC and Clang write there what they include.
    seen = tmp_path / "seen"
    consumers.install("identity", variant="strict", CPPFLAGS=STRICT, DEPENDENCIES_OUTPUT=str(seen))
    included = {Path(path) for path in re.findall(r"\S+/rcu/\w+\.h", seen.read_text())}
    assert {path.name for path in included} >= {"api.h", "read.h", "pointer.h"}
    assert all(path.is_relative_to(consumers.env) for path in included)


def test_it_is_built_by_meson(consumers):
    consumers.require("meson", "ninja")
    project = consumers.copy("identity", "meson")
    for command in (["setup", "build", "-Dwerror=true", "-Dwarning_level=3"], ["compile", "-C", "build"]):
        done = consumers.command(consumers.bin / "meson", *command, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
    where = consumers.run("import identity; print(identity.__file__)", project / "build")
    assert Path(where.strip()).is_relative_to(project / "build")
