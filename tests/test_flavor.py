"""The flavor of the barriers: chosen once, at import, from what the system grants."""

import errno
import platform
import sys

import pytest

import rcu
import seccomp
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

needs_seccomp = pytest.mark.skipif(seccomp.MISSING, reason="seccomp is Linux's")

# Does one command of membarrier's work? Without the package, which is not imported yet.
WORKED = """
NR, REGISTRATION, BARRIER = {number}, 16, 8
print("registered" if libc.syscall(NR, REGISTRATION, 0, 0) == 0 else "refused", ctypes.get_errno())
print("fenced" if libc.syscall(NR, BARRIER, 0, 0) == 0 else "refused", ctypes.get_errno())
"""


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


@needs_seccomp
@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOSYS], ids=["EPERM", "ENOSYS"])
@pytest.mark.parametrize(
    "command", [seccomp.EVERY, seccomp.REGISTRATION, seccomp.BARRIER], ids=["every", "registration", "barrier"]
)
class TestRefused:
    def test_the_filter_refuses_what_it_should(self, script, refusal, command):
        """Or the test below would show nothing."""
        worked = WORKED.format(number=seccomp.NUMBERS[platform.machine()])
        registration, barrier = script(seccomp.refuse_membarrier(refusal, command) + worked).splitlines()
        assert registration == ("registered 0" if command == seccomp.BARRIER else f"refused {refusal}")
        # Who has not registered is refused by the kernel itself.
        assert barrier == f"refused {errno.EPERM if command == seccomp.REGISTRATION else refusal}"

    def test_a_refused_membarrier_falls_back_to_fences(self, script, refusal, command):
        assert script(seccomp.refuse_membarrier(refusal, command) + WORKS, RCU_FLAVOR="") == "fence\n"


@needs_seccomp
def test_a_membarrier_refused_later_stops_the_process_with_words(script):
    """Readers do not fence any more, so there is no going on; better an end than a use after free."""
    code = seccomp.refuse_membarrier(errno.EPERM)
    done = script("import rcu\n" + code + WORKS, check=False, RCU_FLAVOR="")
    assert done.returncode == -6
    assert "rcu: the membarrier barrier is refused (error 1)" in done.stderr
    assert "RCU_FLAVOR=fence" in done.stderr
