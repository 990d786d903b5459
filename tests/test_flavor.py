"""The flavor of the barriers: chosen once, at import, from what the system grants."""

import platform
import sys

import pytest

import rcu
from threads import HELD

WORKS = (
    HELD
    + """
try:
    domain.synchronize(timeout=0)
    print("did not wait")
except TimeoutError:
    pass
leave.set()
domain.synchronize(timeout=10)
worker.join()
print(rcu.flavor)
"""
)

# A filter that answers membarrier, and nothing else, with an error number.
FILTER = """
import ctypes, struct
SYS_MEMBARRIER = {number}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
steps = [
    (LOAD, 0, 0, 0),
    (JUMP_IF_EQUAL, 0, 1, SYS_MEMBARRIER),
    (RETURN, 0, 0, RET_ERRNO | {errno}),
    (RETURN, 0, 0, RET_ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0, ctypes.get_errno()
"""
NUMBERS = {"x86_64": 324, "aarch64": 283, "riscv64": 283}


def test_the_flavor_is_one_of_three():
    assert rcu.flavor in ("membarrier", "flush-process-write-buffers", "fence")


def test_the_fence_flavor_can_be_forced(script):
    assert script(WORKS, RCU_FLAVOR="fence") == "fence\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="membarrier is Linux's")
def test_linux_has_membarrier(script):
    assert script(WORKS, RCU_FLAVOR="") == "membarrier\n"


def test_an_unknown_flavor_is_an_error(script):
    done = script("import rcu", check=False, RCU_FLAVOR="bakery")
    assert done.returncode == 1
    assert "ImportError: RCU_FLAVOR='bakery'" in done.stderr


@pytest.mark.skipif(
    platform.machine() not in NUMBERS or not sys.platform.startswith("linux"), reason="seccomp is Linux's"
)
@pytest.mark.parametrize("errno", [1, 38], ids=["EPERM", "ENOSYS"])
def test_a_refused_membarrier_falls_back_to_fences(script, errno):
    code = FILTER.format(number=NUMBERS[platform.machine()], errno=errno)
    assert script(code + WORKS, RCU_FLAVOR="") == "fence\n"


@pytest.mark.skipif(
    platform.machine() not in NUMBERS or not sys.platform.startswith("linux"), reason="seccomp is Linux's"
)
def test_a_membarrier_refused_later_stops_the_process_with_words(script):
    """Readers do not fence any more, so there is no going on; better an end than a use after free."""
    code = FILTER.format(number=NUMBERS[platform.machine()], errno=1)
    done = script("import rcu\n" + code + WORKS, check=False, RCU_FLAVOR="")
    assert done.returncode == -6
    assert "rcu: the membarrier barrier is refused (error 1)" in done.stderr
    assert "RCU_FLAVOR=fence" in done.stderr
