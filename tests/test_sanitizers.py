"""ci/tsan.sh and ci/asan.sh: what counts as a report, and what they refuse to run on."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

import processes

CI = Path(__file__).parents[1] / "ci"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the scripts are for the POSIX shell")

LEAKS = """
=================================================================
==7==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 100 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc (/lib/libasan.so.8+0xb83bb)
    #1 0x2 in attach rcu/_slots.c:12 (/env/site-packages/{folder}/_slots.cpython-313t-x86_64-linux-gnu.so+0x5)

Direct leak of 32 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc (/lib/libasan.so.8+0xb83bb)
    #1 0x2 in PyThread_allocate_lock Python/thread_pthread.h:460 (/bin/python3.13t+0x5)
    #2 0x2 in _PyEval_EvalFrameDefault Python/generated_cases.c.h:1362 (/bin/python3.13t+0x5)
    #3 0x2 in __Pyx_Import rcu/_sections.c:8193 (/env/rcu/_sections.cpython-313t-x86_64-linux-gnu.so+0x5)

Indirect leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc (/lib/libasan.so.8+0xb83bb)
    #1 0x2 in PyMem_Malloc Objects/obmalloc.c:12 (/bin/python3.13t+0x5)

SUMMARY: AddressSanitizer: 140 byte(s) leaked in 3 allocation(s).
"""
OVERFLOW = """
=================================================================
==8==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60b at pc 0x7f bp 0x7e sp 0x7d
READ of size 1 at 0x60b thread T0
    #0 0x7f in depth rcu/_slots.c:5

0x60b is located 0 bytes to the right of 100-byte region
SUMMARY: AddressSanitizer: heap-buffer-overflow rcu/_slots.c:5 in depth
Shadow bytes around the buggy address:

==8==ABORTING
"""
RACE = """
==================
WARNING: ThreadSanitizer: data race (pid=9)
  Write of size 4 at 0x7f by main thread:
    #0 start rcu/_grace.c:5 (_grace.cpython-313t-x86_64-linux-gnu.so+0x1159)

  Previous write of size 4 at 0x7f by thread T1:
    #0 start rcu/_grace.c:5 (_grace.cpython-313t-x86_64-linux-gnu.so+0x1159)

SUMMARY: ThreadSanitizer: data race rcu/_grace.c:5 in start
==================
"""
SHIFT = "rcu/_slots.c:3:4: runtime error: shift exponent 40 is too large for 32-bit type 'int'\n    #0 0x7 in f\n"
DEADLY = "FATAL: ThreadSanitizer: unexpected memory mapping 0x5-0x6\n"
MATCHED = "ThreadSanitizer: Matched 3 suppressions (pid=9):\n2 race_top:new_reference\n1 race:sock_recv_impl\n"
DUPLICATE = "==9==ThreadSanitizer: dup thread with used id 0x7f89a568c6c0\n"
ENDED = "ThreadSanitizer: reported 2 warnings\n"


def sort_out(folder, *logs):
    for number, log in enumerate(logs):
        (folder / f"log.{number}").write_text(log)
    done = processes.run(sys.executable, "-I", str(CI / "reports.py"), str(folder))
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (RACE, "report        1  ThreadSanitizer: data race rcu/_grace.c:5 in start"),
        (OVERFLOW, "report        1  AddressSanitizer: heap-buffer-overflow rcu/_slots.c:5 in depth"),
        (SHIFT, f"report        1  {SHIFT.splitlines()[0]}"),
        (DEADLY, "report        1  FATAL: ThreadSanitizer: unexpected memory mapping -"),
        ("Segmentation fault\n", "report        1  Segmentation fault"),
    ],
    ids=["race", "overflow", "shift", "deadly", "unknown"],
)
def test_a_report_counts(tmp_path, log, line):
    code, lines, shown = sort_out(tmp_path, log)
    assert code == 1
    assert lines == [line, "reports       1"]
    assert textwrap.dedent(log).strip("=\n").splitlines()[0] in shown


def test_a_leak_counts_if_the_package_allocated(tmp_path):
    code, lines, shown = sort_out(tmp_path, LEAKS.format(folder="rcu"))
    assert code == 1
    assert lines[0] == "ignored       2  leaks of others"
    assert lines[1].startswith("report        1  leak: #1 ")
    assert lines[2:] == ["reports       1"]
    assert "_slots" in shown
    assert "obmalloc" not in shown


def test_leaks_of_others_and_suppressed_races_are_counted_apart(tmp_path):
    assert sort_out(tmp_path, LEAKS.format(folder="circus"), DUPLICATE + MATCHED, ENDED) == (
        0,
        [
            "ignored       3  leaks of others",
            "ignored       2  suppressed by race_top:new_reference",
            "ignored       1  suppressed by race:sock_recv_impl",
            "reports       0",
        ],
        "",
    )


def test_the_same_error_is_shown_once(tmp_path):
    code, lines, shown = sort_out(
        tmp_path, RACE + RACE, RACE.replace("pid=9", "pid=10").replace("0x7f", "0x7e"), OVERFLOW
    )
    assert code == 1
    assert lines[0] == "report        3  ThreadSanitizer: data race rcu/_grace.c:5 in start"
    assert lines[-1] == "reports       4"
    assert shown.count("WARNING: ThreadSanitizer") == 1


@pytest.mark.parametrize("sanitizer", ["tsan", "asan"])
@pytest.mark.parametrize("value", ["/nowhere/python", sys.executable])
def test_an_interpreter_without_the_sanitizer_is_refused(sanitizer, value):
    done = processes.run("sh", str(CI / f"{sanitizer}.sh"), **{f"RCU_{sanitizer.upper()}_PYTHON": value})
    assert done.returncode != 0
    assert done.stdout == ""
    assert value in done.stderr
