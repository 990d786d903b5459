"""What the documentation shows to extension authors is built and run, and what it quotes is what it quotes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "extensions.md").read_text()
SECTION = README[README.index("## For extension authors") : README.index("## What it costs")]


def test_the_readmes_program(consumers, tmp_path):
    """As a newcomer would put it together, and with nothing more."""
    project = tmp_path / "limits"
    project.mkdir()
    (source,) = re.findall(r"^```c\n(.*?)^```", SECTION, re.M | re.S)
    (requires,) = re.findall(r"^```toml\n(.*?)^```", SECTION, re.M | re.S)
    (extension,) = re.findall(r"^    (Extension\(.*\))$", SECTION, re.M)
    (project / "limits.c").write_text(source)
    (project / "pyproject.toml").write_text(
        f'[build-system]\n{requires}build-backend = "setuptools.build_meta"\n[project]\nname="limits"\nversion="1"\n'
    )
    (project / "setup.py").write_text(
        f"import rcu\nfrom setuptools import Extension, setup\n\nsetup(ext_modules=[{extension}])\n"
    )
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--target", str(tmp_path / "site"))
    done = consumers.command(consumers.python, "-I", "-m", "pip", "install", *options, str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    code = """
import threading, rcu, limits
assert limits.get() == -1
seen, stop = set(), threading.Event()
def read():
    while not stop.is_set():
        seen.add(limits.get())
reader = threading.Thread(target=read)
reader.start()
n = 0
while len(seen) < 20:
    limits.set(n)
    n += 1
stop.set()
reader.join()
rcu.barrier()
assert seen <= {-1, *range(n)}
assert rcu.stats().callbacks_run == n - 1
try:
    limits.set("many")
except TypeError:
    print(limits.get() == n - 1)
"""
    assert consumers.run(code, tmp_path / "site") == "True\n"


QUOTES = re.findall(r"^<!-- (\S+) -->\n```\w+\n(.*?)^```", GUIDE, re.M | re.S)


def test_there_are_quotes():
    assert {name for name, _ in QUOTES} >= {
        "tests/consumer/identity/setup.py",
        "tests/consumer/identity/meson.build",
        "tests/consumer/identity/identity.c",
        "tests/consumer/buckets/buckets.pyx",
        "tests/consumer/registry/registry.cpp",
    }


@pytest.mark.parametrize(("name", "quote"), QUOTES, ids=[name for name, _ in QUOTES])
def test_quotes_are_verbatim(name, quote):
    """Each piece; an ellipsis stands for what is left out between two."""
    text = (ROOT / name).read_text()
    at = 0
    for piece in re.split(r"^\s*(?:/\* \.\.\. \*/|# \.\.\.)\n", quote, flags=re.M):
        found = text.find(piece, at)
        assert found >= 0, piece
        at = found + len(piece)


def test_the_guides_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", GUIDE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_guide_names_what_there_is():
    """Each function and macro that it speaks of is in a header."""
    headers = "".join(path.read_text() for path in (ROOT / "include" / "rcu").glob("*.h"))
    names = set(re.findall(r"\b(rcu_\w+|RCU_\w+)\b", GUIDE + SECTION)) - {"rcu_include"}  # a variable of Meson's
    assert len(names) > 20
    for name in sorted(names):
        assert re.search(rf"\b{name}\b", headers), name
