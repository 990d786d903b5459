"""The C interface used wrongly: by an extension that was built for another rcu, and what a debug build reports."""

import os
import signal
import sys

import pytest

import rcu
from probes import build
from threads import PATIENCE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="cc is what POSIX calls a compiler")

BEGIN = """
import ctypes, sys, threading, rcu
sys.path.insert(0, {folder!r})
"""
PROBE = """
import probe
ATTACHED, DETACHED, FOREIGN = range(3)
domain = rcu.Domain("mine")
engine = probe.domain_of(domain)
slot = probe.this_slot(ATTACHED, engine)
"""
REFUSED = """
try:
    import probe
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def debug(tmp_path_factory):
    return build(tmp_path_factory.mktemp("debug"), "-DRCU_DEBUG")


# ---- another rcu -----------------------------------------------------------------------------------------------------

TABLE = """
class Begin(ctypes.Structure):
    _fields_ = [("abi", ctypes.c_uint32), ("size", ctypes.c_uint32), ("version", ctypes.c_char_p),
                ("slot_size", ctypes.c_uint64), ("head_size", ctypes.c_uint64)]

pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
capsule = ctypes.pythonapi.PyCapsule_New
capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
name = b"rcu._api.table"
real = Begin.from_address(pointer(rcu._api.table, name))
other = Begin.from_buffer_copy(real)
other.version = b"7.8.9"
{change}
rcu._api.table = capsule(ctypes.addressof(other), name, None)
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("other.abi += 1", "rcu 7.8.9 (ABI 2, "),
        ("other.abi = 0", "rcu 7.8.9 (ABI 0, "),
        ("other.size -= 8", "rcu 7.8.9 (ABI 1, "),
        ("other.size = 0", "rcu 7.8.9 (ABI 1, 0 bytes)"),
        ("other.slot_size = 64", "rcu 7.8.9 (ABI 1, "),
        ("other.head_size = 24", "rcu 7.8.9 (ABI 1, "),
    ],
)
def test_an_extension_that_was_built_for_another_rcu(script, folder, change, told):
    said = script(BEGIN.format(folder=str(folder)) + TABLE.format(change=change) + REFUSED)
    assert said.startswith(f"ImportError this extension was built for rcu {rcu.__version__} (ABI 1, a table of ")
    assert told in said
    assert "rcu.get_include()" in said


def test_a_longer_table_is_a_later_rcu_of_the_same_abi(script, folder):
    change = "other = Begin.from_address(ctypes.addressof(real)); other.size += 8"
    said = script(BEGIN.format(folder=str(folder)) + TABLE.format(change=change) + REFUSED + "print(probe.__name__)")
    assert said == "probe\n"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("None", "ModuleNotFoundError import of rcu halted"),
        ("types.ModuleType('rcu')", "ImportError the rcu that is installed has no C interface, and this extension"),
    ],
)
def test_no_rcu_and_one_without_the_interface(script, folder, found, told):
    begin = f"import sys, types; sys.path.insert(0, {str(folder)!r}); sys.modules['rcu'] = {found}"
    assert script(begin + REFUSED).startswith(told)


@pytest.mark.parametrize("error", ["ImportError('no more keys')", "AttributeError('a fault of rcu')"])
def test_an_import_that_fails_says_why(script, folder, error):
    code = f"""
import sys
sys.path.insert(0, {str(folder)!r})
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "rcu._slots":
            raise {error}
sys.meta_path.insert(0, Finder())
try:
    import probe
except Exception as error:
    print(repr(error))
"""
    assert script(code) == f"{error}\n"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is new in 3.14")
def test_a_subinterpreter_is_refused(script, folder):
    code = f"""
import sys
sys.path.insert(0, {str(folder)!r})
import probe
from concurrent import interpreters
other = interpreters.create()
try:
    other.exec("import sys; sys.path.insert(0, {str(folder)!r}); import rcu._clock")
except interpreters.ExecutionFailed as error:
    print(error.excinfo.type.__name__, error.excinfo.msg)
other.close()
print(probe.synchronize(0, probe.default_domain()))
"""
    refused, works = script(code).splitlines()
    assert refused.startswith("ImportError")
    assert "subinterpreter" in refused
    assert works == "0"


def test_a_process_without_a_hook_at_the_end_of_threads(script, folder):
    """Slots could not be given back, so nothing is handed out."""
    code = f"""
import ctypes, sys
sys.path.insert(0, {str(folder)!r})
libc = ctypes.CDLL(None)
taken = 0
while libc.pthread_key_create(ctypes.byref(ctypes.c_uint()), None) == 0:
    taken += 1
print(taken > 10)
"""
    taken, said = script(code + REFUSED).splitlines()
    assert taken == "True"
    assert said.startswith("ImportError rcu cannot watch threads end: the system grants no more thread-local keys")


# ---- with an exception set, or a number that is no cookie -----------------------------------------------------------

STALLED = """
import faulthandler, logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
faulthandler.dump_traceback_later({patience}, exit=True)
domain = rcu.Domain("stalled", stall_timeout=0.01)
inside, leave = threading.Event(), threading.Event()
def read():
    with domain:
        inside.set()
        leave.wait()
reader = threading.Thread(target=read)
reader.start()
inside.wait()
try:
    probe.synchronize_raising(probe.domain_of(domain), 100_000_000)
except BaseException as error:
    print(repr(error))
leave.set()
reader.join()
done = threading.Thread(target=print, args=("threads still start",))  # they need threading's locks
done.start()
done.join()
"""


def test_a_report_leaves_the_exception_of_who_waits_alone(script, folder):
    """As in a finalizer, or where an error is on its way."""
    said = script(
        BEGIN.format(folder=str(folder)) + PROBE + STALLED.replace("{patience}", str(PATIENCE / 2))
    ).splitlines()
    assert "domain 'stalled': a grace period is" in said[0]
    assert said[-2:] == ["KeyError('before')", "threads still start"]


def test_an_outcome_replaces_an_exception_that_is_set(script, folder):
    code = """
for outcome in range(1, 6):
    try:
        probe.check_raising(engine, outcome)
    except BaseException as error:
        print(type(error).__name__)
class Spiteful:
    def __repr__(self): return f"<{1:d}>"
try:
    probe.domain_of_raising(Spiteful())
except TypeError as error:
    print(error)
"""
    assert script(BEGIN.format(folder=str(folder)) + PROBE + code).splitlines() == [
        *("DeadlockError", "DeadlockError", "TimeoutError", "RcuError", "SystemError"),
        "rcu_domain_of() takes an rcu.Domain, not Spiteful <1>",
    ]


def test_a_cookie_that_nobody_has_given_is_not_driven_at(script, folder):
    code = """
import faulthandler
faulthandler.dump_traceback_later({patience}, exit=True)
cookie = probe.start_poll(ATTACHED, engine)
print(*(probe.poll(ATTACHED, engine, far) for far in (2**64 - 1, 2**64 - 2, cookie + 2, cookie + 1)))
print(domain.stats().grace_periods)
print(probe.poll(ATTACHED, engine, cookie), probe.poll(ATTACHED, engine, 0))
"""
    said = script(BEGIN.format(folder=str(folder)) + PROBE + code.replace("{patience}", str(PATIENCE / 2)))
    assert said == "0 0 0 0\n0\n1 1\n"


# ---- a debug build ---------------------------------------------------------------------------------------------------


def aborted(done):
    """The last line of a process that has aborted."""
    assert done.returncode == -signal.SIGABRT, (done.returncode, done.stderr)
    return next(line for line in done.stderr.splitlines() if line.startswith("rcu: "))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("probe.enter(FOREIGN, engine, slot)", r"rcu_enter({slot}) by thread * the slot belongs to thread {me};"),
        ("probe.leave(FOREIGN, engine, slot)", "rcu_exit({slot}) by thread * the slot belongs to thread {me};"),
        ("probe.held(FOREIGN, engine, slot)", "rcu_held({slot}) by thread * the slot belongs to thread {me};"),
        (
            "t = threading.Thread(target=probe.enter, args=(ATTACHED, engine, slot)); t.start(); t.join()",
            "rcu_enter({slot}) by thread * the slot belongs to thread {me};",
        ),
        ("probe.leave(ATTACHED, engine, slot)", "rcu_exit({slot}) by thread {me}, which is in no section"),
        (
            "probe.unregister_thread(ATTACHED, engine); probe.enter(ATTACHED, engine, slot)",
            "rcu_enter({slot}) by thread {me}: the slot is no thread's any more",
        ),
        (
            "slot = probe.this_slot(FOREIGN, engine); probe.enter(ATTACHED, engine, slot)",
            "rcu_enter({slot}) by thread {me}: the slot is no thread's any more",
        ),
        ("probe.enter(ATTACHED, engine, 0)", "rcu_enter(NULL) by thread {me}"),
        (
            "probe.borrow_outside(rcu.Cell([], domain=domain))",
            "rcu_cell_borrow(*) by thread {me}, which is in no section",
        ),
        ("probe.borrow_outside([])", "the object is no rcu.Cell, as rcu_cell_check() tells"),
    ],
)
def test_it_aborts(script, debug, code, told):
    head = BEGIN.format(folder=str(debug)) + PROBE + "print(threading.get_ident(), flush=True)\n"
    code = code.replace("slot = ", "slot = globals()['slot'] = ")
    done = script(head + "print(hex(slot), flush=True)\n" * ("FOREIGN, engine)" not in code) + code, check=False)
    me, *slot = done.stdout.split()
    said = aborted(done)
    told = told.format(slot=slot[0] if slot else "*", me=me)
    for part in told.split("*"):
        assert part in said


def test_before_the_import(script, tmp_path):
    folder = build(tmp_path, "-DRCU_DEBUG", "-DPROBE_DOES_NOT_IMPORT")
    done = script(BEGIN.format(folder=str(folder)) + "import probe; probe.default_domain()", check=False)
    assert aborted(done).startswith("rcu: rcu_default_domain() in a source file that has no table: call rcu_import()")


def test_a_head_that_is_queued_already(script, debug):
    code = """
entered, leave = threading.Event(), threading.Event()
def hold():
    with domain:
        entered.set()
        leave.wait()
reader = threading.Thread(target=hold)
reader.start()
entered.wait()
other = probe.domain_new(ATTACHED, b"another")
for how in ATTACHED, DETACHED, FOREIGN:
    probe.call_once(how, engine)
probe.call_once(ATTACHED, other)
assert probe.barrier(ATTACHED, other) == 0
leave.set()
reader.join()
assert probe.barrier(ATTACHED, engine) == 0
print(probe.numbers()["called"])
probe.call_once(ATTACHED, other)  # it is free again
assert probe.barrier(ATTACHED, other) == 0
print(probe.numbers()["called"])
"""
    done = script(BEGIN.format(folder=str(debug)) + PROBE + code, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n2\n"
    said = [line for line in done.stderr.splitlines() if line.startswith("rcu: rcu_call() in domain ")]
    assert len(said) == 3
    assert all("which is queued already in domain 'mine'" in line for line in said)
    assert [line.split("'")[1] for line in said] == ["mine", "mine", "another"]


def test_many_heads_in_a_debug_build(script, debug):
    code = """
def work():
    for how in ATTACHED, DETACHED, FOREIGN:
        probe.call(how, engine, 5000)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert probe.barrier(ATTACHED, engine) == 0
print(probe.numbers()["called"])
"""
    done = script(BEGIN.format(folder=str(debug)) + PROBE + code, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "45000\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_debug_build_in_a_fork_child(script, debug):
    """What is noted as queued is so in both; each calls it once."""
    code = """
import os
domain.read_lock()
probe.call(ATTACHED, engine, 1000)
probe.call_once(ATTACHED, engine)
sys.stdout.flush()
pid = os.fork()
domain.read_unlock()
assert probe.barrier(ATTACHED, engine) == 0
probe.call_once(ATTACHED, engine)
assert probe.barrier(ATTACHED, engine) == 0
assert probe.numbers()["called"] == 1002, probe.numbers()
if pid == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("both")
"""
    done = script(BEGIN.format(folder=str(debug)) + PROBE + code, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "both\n", "")
