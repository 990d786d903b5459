"""The C interface where it is not used as it should be, or where something is wrong already."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import rcu

SOURCE = Path(__file__).with_name("capi") / "hostile.c"
HEADERS = ["read.h", "pointer.h", "list.h", "array.h", "this_thread.h", "debug.h"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="cc is what POSIX calls a compiler")


def compiler():
    words = shlex.split(os.environ.get("CC", "cc"))
    if not words or shutil.which(words[0]) is None:
        pytest.fail(f"no C compiler {(words or ['cc'])[0]!r}: install one (Debian: gcc libc6-dev), or set CC to it")
    return words


def compile_c(*options):
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{rcu.get_include()}"]
    done = subprocess.run(
        [*compiler(), "-Wall", "-Wextra", "-Werror", *includes, *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capi")
    compile_c("-O2", "-shared", "-fPIC", SOURCE, "-o", folder / f"hostile{sysconfig.get_config_var('EXT_SUFFIX')}")
    return folder


@pytest.fixture
def run(folder, script):
    """Runs a script that may import the extension."""

    def run(code):
        return script(f"import sys; sys.path.insert(0, {str(folder)!r}); import faulthandler\n{code}").splitlines()

    return run


STALLED = """
import logging, threading
logging.basicConfig(stream=sys.stdout, format="%(message)s")
faulthandler.dump_traceback_later(50, exit=True)
import hostile, rcu
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
    hostile.synchronize(domain, 100_000_000)
except BaseException as error:
    print(repr(error))
leave.set()
reader.join()
done = threading.Thread(target=print, args=("threads still start",))  # they need threading's locks
done.start()
done.join()
"""


def test_a_report_leaves_the_exception_of_who_waits_alone(run):
    lines = run(STALLED)
    assert "domain 'stalled': a grace period is" in lines[0]
    assert lines[-2:] == ["KeyError('before')", "threads still start"]


def test_an_outcome_replaces_an_exception_that_is_set(run):
    code = """
import hostile, rcu
for outcome in (1, 2, 3, 4, 5):
    try:
        hostile.check(rcu.default_domain, outcome)
    except BaseException as error:
        print(type(error).__name__)
class Spiteful:
    def __repr__(self): return f"<{1:d}>"
try:
    hostile.domain_of_none(Spiteful())
except TypeError as error:
    print(error)
"""
    found = run(code)
    assert found[:5] == ["DeadlockError", "DeadlockError", "TimeoutError", "RcuError", "SystemError"]
    assert found[5:] == ["rcu_domain_of() takes an rcu.Domain, not Spiteful <1>"]


def test_a_name_may_be_any_bytes(run):
    code = """
import hostile
domain = hostile.new_domain(b"caf\\xc3\\xa9 \\xff")
try:
    hostile.check(domain, 3)
except TimeoutError as error:
    print(ascii(str(error)))
hostile.free_domain(domain)
"""
    assert run(code) == ["\"domain 'caf\\xe9 \\\\\\\\xff': check() did not end in time; the domain is as before\""]


def test_a_cookie_that_nobody_has_given_is_not_driven_at(run):
    code = """
faulthandler.dump_traceback_later(50, exit=True)
import hostile, rcu
domain = rcu.Domain()
cookie = hostile.start_poll(domain)
print(*(hostile.poll(domain, far) for far in (2**64 - 1, 2**64 - 2, cookie + 2, cookie + 1)))
print(domain.stats().grace_periods)
print(hostile.poll(domain, cookie), hostile.poll(domain, 0))
"""
    assert run(code) == ["False False False False", "0", "True True"]


FAILS = """
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "rcu._slots":
            raise {error}
sys.meta_path.insert(0, Finder())
try:
    import hostile
except Exception as error:
    print(repr(error))
"""


@pytest.mark.parametrize("error", ["ImportError('no more keys')", "AttributeError('a fault of rcu')"])
def test_an_import_says_why_it_fails(run, error):
    assert run(FAILS.format(error=error)) == [error]


def test_no_rcu_and_one_without_the_interface(run):
    code = """
import types
for rcu in (None, types.ModuleType("rcu")):
    sys.modules["rcu"] = rcu
    try:
        import hostile
    except ImportError as error:
        print(error)
"""
    missing, old = run(code)
    assert "rcu" in missing
    assert "PyCapsule" not in missing
    assert old.startswith(
        f"the rcu that is installed has no C interface, and this extension was built for rcu {rcu.__version__}"
    )


def test_a_table_of_another_abi(run):
    code = """
import ctypes, rcu._api
get = ctypes.pythonapi.PyCapsule_GetPointer
get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
words = (ctypes.c_uint32 * 2).from_address(get(rcu._api.table, b"rcu._api.table"))
for place, change in ((0, 1), (1, -8)):
    words[place] += change
    try:
        import hostile
    except ImportError as error:
        print(error)
    words[place] -= change
import hostile
"""
    for line in run(code):
        assert line.count(f"rcu {rcu.__version__} (ABI ") == 2


SUBINTERPRETER = """
import hostile
from concurrent import interpreters
other = interpreters.create()
try:
    other.exec(f"import sys; sys.path.insert(0, {sys.path[0]!r}); import rcu._clock")
except interpreters.ExecutionFailed as error:
    print(error.excinfo.type.__name__, error.excinfo.msg)
other.close()
print(hostile.poll(hostile.new_domain(b"here"), 0))
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is new in 3.14")
def test_a_subinterpreter_is_refused(run):
    refused, works = run(SUBINTERPRETER)
    assert refused.startswith("ImportError")
    assert "subinterpreter" in refused
    assert works == "True"


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("debug", [[], ["-DRCU_DEBUG"]], ids=["", "debug"])
def test_a_header_of_readers_is_strict_c11_behind_any_other(tmp_path, header, debug):
    source = tmp_path / "strict.c"
    source.write_text(
        f"#include <stdio.h>\n#include <rcu/{header}>\nint strict(void);\nint strict(void) {{ return 0; }}\n"
    )
    compile_c("-std=c11", "-pedantic", *debug, "-c", source, "-o", tmp_path / "strict.o")


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="without the GIL there is no limited API yet"
)
@pytest.mark.parametrize("debug", [[], ["-DRCU_DEBUG"]], ids=["", "debug"])
def test_the_limited_api_is_enough(tmp_path, debug):
    source = tmp_path / "limited.c"
    source.write_text("#define Py_LIMITED_API 0x030d0000\n#include <Python.h>\n#include <rcu/api.h>\n")
    compile_c("-std=c11", *debug, "-c", source, "-o", tmp_path / "limited.o")
