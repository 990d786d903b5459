"""Read-copy-update for Python without the GIL.

Readers bracket what they read with a section, ``with rcu.default_domain:``, and never wait. An updater publishes
a new version, waits for a *grace period*, ``rcu.synchronize()``, and may then free the old one, for every reader
that could still see it has left its section. An updater that cannot wait has what is left done later:
``rcu.call(func)``, ``rcu.retire(obj)``, ``await rcu.synchronize_async()``.

What is published is best held by a cell: ``cell = rcu.Cell(version)``. Reading ``cell.value`` costs what a local
attribute costs, on any number of threads, and ``cell.set(new)`` retires the old version by itself.
"""

from pathlib import Path

from rcu import _api as _api  # rcu_import() of C looks for it here
from rcu._cell import Cell
from rcu._domain import Domain, default_domain, flavor
from rcu._ends import set_exit_timeout
from rcu._limits import garbage_stats, set_garbage_limit
from rcu._refcount import share_function
from rcu._replaced import Replaced
from rcu._sections import Guard
from rcu.diagnostics import DomainStats, GarbageStats
from rcu.errors import (
    DeadlockError,
    NotInSectionError,
    RcuError,
    SectionError,
    StallWarning,
    WrongThreadError,
)
from rcu.sharing import share

__version__ = "0.1.0"

__all__ = [
    "Cell",
    "DeadlockError",
    "Domain",
    "DomainStats",
    "GarbageStats",
    "Guard",
    "NotInSectionError",
    "RcuError",
    "Replaced",
    "SectionError",
    "StallWarning",
    "WrongThreadError",
    "barrier",
    "barrier_async",
    "call",
    "default_domain",
    "flavor",
    "garbage_stats",
    "get_include",
    "poll",
    "quiesce",
    "quiesce_on_pending",
    "read",
    "read_lock",
    "read_lock_held",
    "read_unlock",
    "register_thread",
    "retire",
    "run",
    "set_exit_timeout",
    "set_garbage_limit",
    "share",
    "start_poll",
    "stats",
    "synchronize",
    "synchronize_async",
    "unregister_thread",
]

# The methods of the default domain as functions, shared between reading threads like the domain itself.
read = share_function(default_domain.read)
read_lock = share_function(default_domain.read_lock)
read_unlock = share_function(default_domain.read_unlock)
read_lock_held = share_function(default_domain.read_lock_held)
run = share_function(default_domain.run)
quiesce = share_function(default_domain.quiesce)
register_thread = share_function(default_domain.register_thread)
unregister_thread = share_function(default_domain.unregister_thread)
synchronize = share_function(default_domain.synchronize)
synchronize_async = share_function(default_domain.synchronize_async)
quiesce_on_pending = share_function(default_domain.quiesce_on_pending)
start_poll = share_function(default_domain.start_poll)
poll = share_function(default_domain.poll)
call = share_function(default_domain.call)
retire = share_function(default_domain.retire)
barrier = share_function(default_domain.barrier)
barrier_async = share_function(default_domain.barrier_async)
stats = share_function(default_domain.stats)


def get_include():
    """Returns the folder to compile C and Cython extensions with (``-I``): ``#include <rcu/read.h>``."""
    package = Path(__file__).parent
    # In a wheel the headers are inside the package; in a checkout (an editable install) they are beside it.
    inside = package / "include"
    return str(inside if inside.is_dir() else package.parent / "include")
