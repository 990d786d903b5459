"""The errors of the package. Each message carries the values that led to it."""

__all__ = [
    "DeadlockError",
    "NotInSectionError",
    "RcuError",
    "SectionError",
    "StallWarning",
    "WrongThreadError",
]


class RcuError(RuntimeError):
    """What all errors of this package have in common."""


class DeadlockError(RcuError):
    """A wait that could never end: for a grace period, by a thread in a section of the same domain.

    The kernel's lockdep reports the same of ``synchronize_rcu()``.
    """


class SectionError(RcuError):
    """A section is ended that has not begun, a guard is used twice, a thread leaves its domain inside a section."""


class WrongThreadError(SectionError):
    """A guard is used by another thread than the one that made it. Sections belong to threads."""


class NotInSectionError(SectionError):
    """Something that only a section protects is used outside of one."""


class StallWarning(RuntimeWarning):
    """A grace period is older than its domain's ``stall_timeout``: some reader does not leave its section.

    The kernel calls it an RCU CPU stall. The log record of a stall carries this class as ``record.category``.
    """
