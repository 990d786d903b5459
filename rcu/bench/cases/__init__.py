"""The cases, in the order in which they run; each has a TITLE, and run(scale) that returns its findings."""

from rcu.bench.cases import (
    cell_get,
    cell_read,
    cell_section,
    cell_shapes,
    cell_write,
    defer_await,
    defer_c,
    defer_memory,
    defer_python,
    footprint,
    grace_busy,
    grace_idle,
    grace_shared,
    scan,
    section_c,
    section_python,
)

CASES = {
    "section_c": section_c,
    "section_python": section_python,
    "cell_read": cell_read,
    "cell_section": cell_section,
    "cell_get": cell_get,
    "cell_write": cell_write,
    "cell_shapes": cell_shapes,
    "grace_idle": grace_idle,
    "grace_busy": grace_busy,
    "grace_shared": grace_shared,
    "defer_python": defer_python,
    "defer_c": defer_c,
    "defer_memory": defer_memory,
    "defer_await": defer_await,
    "footprint": footprint,
    "scan": scan,
}
