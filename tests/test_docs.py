"""What the documentation shows is run."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import rcu

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readmes_examples_run():
    """One after the other, in one namespace, as a reader would type them."""
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert len(blocks) >= 3
    namespace = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)


def test_the_readme_starts_with_the_two_commands():
    commands = re.findall(r"^    (sh \S+)", README, re.M)
    assert commands[:2] == ["sh ci/demo.sh", "sh ci/test.sh"]
    for command in commands:
        assert (ROOT / command.split()[1]).is_file()


def test_links_of_the_documents_lead_somewhere():
    for document in "README.md", "CONTRIBUTING.md", "CHANGELOG.md":
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / document).read_text()):
            assert (ROOT / target).exists(), f"{document}: {target}"


def test_the_changelog_has_this_version():
    assert f"## {rcu.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", ["rcu", "rcu.diagnostics", "rcu.errors", "rcu.demo", "rcu.bench"])
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def public():
    for name in rcu.__all__:
        thing = getattr(rcu, name)
        yield name, thing
        if inspect.isclass(thing) and thing.__module__.startswith("rcu._"):
            for attribute, value in vars(thing).items():
                if not attribute.startswith("_"):
                    yield f"{name}.{attribute}", value


@pytest.mark.parametrize(("name", "thing"), [pair for pair in public() if pair[0] != "flavor"])
def test_everything_public_says_what_it_is(name, thing):
    assert inspect.getdoc(thing), name


@pytest.mark.parametrize("method", ["synchronize", "poll", "read", "run", "read_unlock"])
def test_signatures_can_be_asked_for(method):
    assert inspect.signature(getattr(rcu.Domain, method))
