"""The rules that the layout implies: who knows whom, who owns what, and that each memory order has its partner."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADERS = sorted((ROOT / "include" / "rcu").glob("*.h"))
MODULES = sorted((ROOT / "rcu").glob("*.p*"))

# From the ground up. What is on a floor knows the floors below, and its own where it says so.
FLOORS = [
    {"_headers"},
    {"_clock", "_flavor", "_gate", "_threads", "_refcount", "_command", "errors"},
    {"_slots", "_garbage", "diagnostics", "sharing"},
    {"_grace", "_queue", "_sections"},
    {"_reclaim"},
    {"_deferred", "_waits", "_writers"},
    {"_logs", "_heads"},
    {"_calls", "_ends", "_limits", "aio"},
    {"_domain"},
    {"_replaced"},
    {"_cell"},
    {"_api"},
    {"__init__"},
    {"bench", "demo", "metrics", "torture"},
    {"__main__"},
]


def floor_of(module):
    return next(i for i, floor in enumerate(FLOORS) if module in floor)


def imports(text):
    """The modules of the package that a source imports or cimports."""
    found = re.findall(r"^\s*(?:from\s+rcu\.(\w+)[\w.]*\s+c?import|c?import\s+rcu\.(\w+))", text, re.M)
    return {one or other for one, other in found} | (
        {"__init__"} if re.search(r"^\s*import rcu$", text, re.M) else set()
    )


def code(text):
    """A C source without its comments."""
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


@pytest.mark.parametrize("path", [path for path in MODULES if path.suffix != ".pyi"], ids=lambda path: path.name)
def test_imports_point_down(path):
    module = path.name.split(".")[0]
    for imported in imports(path.read_text()) - {module}:
        assert floor_of(imported) < floor_of(module), f"{path.name} imports {imported}"


def test_the_floors_are_all_there_is():
    found = {path.name.split(".")[0] for path in MODULES} - {"py"}
    found |= {path.name for path in (ROOT / "rcu").iterdir() if (path / "__init__.py").exists()}
    assert found == set.union(*FLOORS)


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_headers_define_no_state(path):
    """Extensions are loaded apart from each other: a variable of a header would be one in each."""
    text = code(path.read_text())
    assert ("Python.h" in text) == (path.name == "api.h")
    assert not re.search(r"^(static|extern)?\s*(RCU_THREAD_LOCAL|_Thread_local|__thread)\b", text, re.M)
    for line in re.findall(r"^static .*$", text, re.M):
        if path.name == "api.h" and line == "static const struct rcu_api *RCU_API_TABLE;":
            continue  # what each extension finds by itself: the same table
        assert re.match(r"static inline .*\(", line), line


def test_only_threads_owns_a_thread_local():
    owners = [path.name for path in MODULES if "RCU_THREAD_LOCAL" in path.read_text()]
    assert owners == ["_threads.pyx"]


def test_only_the_engine_touches_a_slots_words():
    for path in MODULES:
        if path.stem not in ("_slots", "_grace"):
            assert not re.search(r"\bslot\.(seq|nest|awaited|parked|gp)\b", path.read_text()), path.name


def test_under_the_domain_nothing_knows_python():
    for name in "_grace.pyx", "_queue.pyx", "_reclaim.pyx", "_deferred.pyx":
        text = (ROOT / "rcu" / name).read_text()
        functions = re.findall(r"^cdef [^=\n]*\([^\n]*:$", text, re.M)
        assert len(functions) > 10
        assert all(line.endswith(") noexcept nogil:") for line in functions)
        assert not re.search(r"^\s*(import|def|class|raise)\b", text, re.M)


def test_only_headers_name_a_platform():
    for path in MODULES:
        if path.suffix in (".pyx", ".pxd"):
            assert not re.search(r"_WIN32|__linux__|__APPLE__|sys\.platform|os\.name", path.read_text()), path.name


def test_each_label_of_a_memory_order_stands_in_table_and_code():
    table = (ROOT / "include" / "rcu" / "barrier.h").read_text()
    rows = re.findall(r"^ \*   \[(\w)\]    .*?((?:\[\w\] ?)+|itself)$", table, re.M)
    labels = {label for label, _ in rows}
    assert len(labels) == len(rows) > 10
    for label, partners in rows:
        assert partners == "itself" or set(re.findall(r"\w", partners)) <= labels, f"[{label}] has an unknown partner"
    uses = "".join(
        path.read_text() for path in (*HEADERS, *MODULES) if path.name != "barrier.h" and path.suffix in (".h", ".pyx")
    )
    assert set(re.findall(r"\[([A-Z])\]", uses)) == labels


def test_each_full_barrier_is_labelled():
    for name in "_flavor.pyx", "_grace.pyx", "_reclaim.pyx":
        lines = (ROOT / "rcu" / name).read_text().splitlines()
        found = [
            i for i, line in enumerate(lines) if line.strip().startswith(("rcu_full_barrier()", "heavy_barrier()"))
        ]
        assert found
        for i in found:
            assert re.search(r"\[[A-Z]\]", "\n".join(lines[max(0, i - 4) : i + 1])), f"{name}:{i + 1}"


def test_files_stay_small():
    files = [
        path
        for folder in ("rcu", "include", "tests", "ci", "examples")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".pyx", ".pxd", ".h", ".sh")
    ]
    assert len(files) > 30
    for path in files:
        assert len(path.read_text().splitlines()) <= 450, path
