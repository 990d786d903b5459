"""A filter that answers membarrier, and nothing else, with an error number: code for a process of its own."""

import platform
import sys

NUMBERS = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
"""The system call's, by machine."""

MISSING = not sys.platform.startswith("linux") or platform.machine() not in NUMBERS

EVERY, BARRIER, REGISTRATION = None, 8, 16
"""Which of its commands are refused."""

FILTER = """
import ctypes, struct
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16  # where the kernel keeps them for the filter
tests = [(NUMBER, {number})]
if {command} is not None:
    tests.append((FIRST_ARGUMENT, {command}))
steps = []
for i, (where, value) in enumerate(tests):
    steps += [(LOAD, 0, 0, where), (JUMP_IF_EQUAL, 0, 2 * (len(tests) - i) - 1, value)]
steps += [(RETURN, 0, 0, RET_ERRNO | {errno}), (RETURN, 0, 0, RET_ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0, ctypes.get_errno()
"""


def refuse_membarrier(errno, command=EVERY):
    """Code that installs the filter in the process that runs it, and in those it starts."""
    return FILTER.format(number=NUMBERS[platform.machine()], errno=int(errno), command=command)
