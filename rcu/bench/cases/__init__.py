"""The cases, in the order in which they run; each has a TITLE, and run(scale) that returns its findings."""

from rcu.bench.cases import (
    defer_await,
    defer_c,
    defer_memory,
    defer_python,
    footprint,
    grace_busy,
    grace_idle,
    grace_shared,
    list_traverse,
    scan,
    section_c,
    section_python,
)

CASES = {
    "section_c": section_c,
    "section_python": section_python,
    "grace_idle": grace_idle,
    "grace_busy": grace_busy,
    "grace_shared": grace_shared,
    "defer_python": defer_python,
    "defer_c": defer_c,
    "defer_memory": defer_memory,
    "defer_await": defer_await,
    "list_traverse": list_traverse,
    "footprint": footprint,
    "scan": scan,
}
