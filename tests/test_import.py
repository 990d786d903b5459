"""What an import of the package does to the process."""

import sys
import sysconfig

import pytest

import rcu
from threads import HELD

WAITED_FOR = (
    HELD
    + """
for _ in range(3):
    threading.Thread(target=lambda: domain.synchronize(), daemon=True).start()
while not domain.stats().heavy_barriers:
    pass
"""
)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="there is a GIL to begin with")
def test_imports_do_not_enable_the_gil(script):
    code = """
import warnings, sys
warnings.simplefilter("error")
assert not sys._is_gil_enabled()
import rcu, rcu._slots, rcu._grace, rcu._domain, rcu._refcount, rcu.bench._native
print(sys._is_gil_enabled())
"""
    assert script(code, PYTHON_GIL="") == "False\n"


def test_all_is_all_there_is():
    assert sorted(rcu.__all__) == rcu.__all__
    for name in rcu.__all__:
        assert getattr(rcu, name) is not None


def test_a_domain_that_outlives_everything(script):
    """Daemon threads in sections and in waits neither hinder nor crash the end of the interpreter."""
    code = (
        WAITED_FOR
        + """
rcu.read_lock()
guard = rcu.read()
guard.__enter__()
print("ends")
"""
    )
    assert script(code) == "ends\n"


def test_a_domain_that_is_freed_while_daemons_wait_in_it(script):
    """At exit the frames of daemon threads no longer keep what they use; the engine must."""
    code = (
        WAITED_FOR
        + """
del domain
print("ends")
"""
    )
    for _ in range(3):
        assert script(code) == "ends\n"


def test_errors_are_of_one_family():
    assert issubclass(rcu.RcuError, RuntimeError)
    assert issubclass(rcu.DeadlockError, rcu.RcuError)
    assert issubclass(rcu.SectionError, rcu.RcuError)
    assert issubclass(rcu.WrongThreadError, rcu.SectionError)
    assert issubclass(rcu.NotInSectionError, rcu.SectionError)
    assert issubclass(rcu.StallWarning, Warning)
    assert sys.modules["rcu"].__version__
