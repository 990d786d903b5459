"""The headers by themselves: the C program in native/, built by this machine's compiler; the others: ci/native.sh."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import processes
import rcu
import seccomp

NATIVE = Path(__file__).with_name("native")
INCLUDE = Path(rcu.get_include())
PARTS = [
    *("layout", "atomics", "pointers", "threads", "ends", "forks", "sections", "buffering", "buffering", "readers"),
    *("lists", "arrays", "barriers", "checks", "flavor"),
]
# Enough for each race to happen; ci/native.sh tries longer.
ROUNDS = "5000"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="cc is what POSIX calls a compiler; see ci/native.sh")


def build(folder, include):
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        pytest.fail(f"no C compiler {(compiler or ['cc'])[0]!r}: install one (Debian: gcc libc6-dev), or set CC to it")
    program = folder / "native"
    options = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-pthread", f"-I{include}"]
    command = [*compiler, *options, *map(str, sorted(NATIVE.glob("*.c"))), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(program)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native"), INCLUDE)


def told(done):
    """What the program said, part by part."""
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return [(re.sub(r" \(.*\)$", "", part).split()[-1], rest) for part, _, rest in lines]


def test_in_the_flavor_that_the_package_takes(program):
    parts = told(processes.run(program, RCU_FLAVOR=os.environ.get("RCU_FLAVOR", ""), RCU_ROUNDS=ROUNDS))
    assert parts[-1] == ("flavor", rcu.flavor)
    extra = ["readers"] if rcu.flavor != "fence" else []
    assert sorted(part for part, _ in parts if part != "barrier") == sorted(PARTS + extra)


def test_on_fences(program):
    parts = told(processes.run(program, RCU_FLAVOR="fence", RCU_ROUNDS=ROUNDS))
    assert [part for part, _ in parts] == PARTS
    assert parts[-1] == ("flavor", "fence")
    assert int(dict(parts)["checks"]) > 200
    assert dict(parts)["barriers"] == "0 heavy"


@pytest.mark.skipif(seccomp.MISSING, reason="seccomp is Linux's")
@pytest.mark.parametrize("command", [seccomp.REGISTRATION, seccomp.BARRIER], ids=["registration", "barrier"])
def test_a_refused_membarrier_falls_back_to_fences(program, script, command):
    run = f"import os; os.execv({program!r}, [{program!r}])"
    code = seccomp.refuse_membarrier(1, command) + run
    parts = told(script(code, check=False, RCU_FLAVOR="", RCU_ROUNDS=ROUNDS))
    assert parts[0] == ("barrier", "the heavy one is refused (error 1)")
    assert parts[-1] == ("flavor", "fence")


SHRINK_IN_PLACE = """\
        return EINVAL;
    if (index == size - 1) {
        rcu_store_release(&array->size, index);
        return 0;
    }
"""
# What the program finds without luck: the litmus test and the readers are for what takes some.
FAULTS = {
    "an exit that does not look": ("read.h", "if (RCU_UNLIKELY(rcu_load_relaxed(slot->gp) != seq))", "if (0)"),
    "a nested exit that ends all": ("read.h", "slot->nest--;", "slot->nest = 0;"),
    "an enter that is not seen": ("read.h", "rcu_store_relaxed(&slot->seq, seq | RCU_SEQ_BUSY);", ""),
    "a lock that says no": ("thread_posix.h", "pthread_mutex_trylock(mutex) == 0", "pthread_mutex_trylock(mutex) != 0"),
    "an addition that returns the sum": ("atomic.h", "__atomic_fetch_add", "__atomic_add_fetch"),
    "a removed node that looks listed": ("list.h", "    node->prev = NULL;\n    return 1;", "    return 1;"),
    "a next node that points back wrongly": ("list.h", "        next->pprev = &node->next;", "        ;"),
    "a last element that is removed in place": ("array.h", "        return EINVAL;\n", SHRINK_IN_PLACE),
    "a size that wraps around": ("array.h", "((size_t)PTRDIFF_MAX - RCU_ARRAY_DATA) / width", "PTRDIFF_MAX"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_placed(fault, tmp_path):
    header, right, wrong = FAULTS[fault]
    shutil.copytree(INCLUDE / "rcu", tmp_path / "rcu")
    text = (tmp_path / "rcu" / header).read_text()
    assert right in text
    (tmp_path / "rcu" / header).write_text(text.replace(right, wrong))
    done = processes.run(build(tmp_path, tmp_path), RCU_FLAVOR="fence", RCU_ROUNDS=ROUNDS)
    assert done.returncode == 1
    assert re.search(r"^\S+\.[ch]:\d+: .*: expected \d+ \(0x\w+\), got \d+ \(0x\w+\)$", done.stderr, re.M)
