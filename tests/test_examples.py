"""The examples: each runs, holds what it promises, and did so while values were replaced under its readers."""

import re
from pathlib import Path

import pytest

import processes

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.fixture
def numbers():
    """Runs an example; returns the numbers of each line that it prints."""

    def run(name):
        done = processes.run(*processes.PYTHON, EXAMPLES / f"{name}.py")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return [[int(number) for number in re.findall(r"\d+", line)] for line in done.stdout.splitlines()]

    return run


def test_the_container(numbers):
    (requests, threads, replaced), (met,) = numbers("container")
    assert threads > 1
    assert met > 2
    # Each thread met so many databases, so they were replaced between its requests.
    assert replaced >= met - 1
    assert requests >= threads * met


def test_the_flags(numbers):
    (requests, threads), (met,), (administrators, updates, revision) = numbers("flags")
    assert threads > 1
    assert administrators > 1
    assert met > 2
    assert updates == revision >= met - 1
    assert requests >= threads * met


def test_the_router(numbers):
    (requests, threads, swaps), (met,), (most_alive, alive), (died_serving,) = numbers("router")
    assert threads > 1
    assert met > 2
    assert requests >= threads * met
    assert swaps >= met - 1
    # Old tables died while it served.
    assert most_alive < swaps
    assert (alive, died_serving) == (1, 0)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_and_listed(name):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 120
    assert f"({name}.py)" in (EXAMPLES / "README.md").read_text()


def test_the_list_has_no_others():
    assert set(re.findall(r"\((\w+)\.py\)", (EXAMPLES / "README.md").read_text())) == set(NAMES)
