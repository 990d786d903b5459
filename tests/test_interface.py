"""The interface for extensions as a contract: what is said of each function, the same in Cython, and what may not
change without another number in version.h."""

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

import rcu
from sources import ROOT, blanked, inline_functions

INCLUDE = Path(rcu.get_include())
OFFERED = ["api.h", "read.h", "list.h", "array.h"]
CC = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]

LP64 = pytest.mark.skipif(sys.maxsize < 2**32, reason="the offsets that are written down here are those of 64 bits")


def header(name):
    return (INCLUDE / "rcu" / name).read_text()


def functions(name):
    """The functions that a header offers: names, with what is said of each and its head."""
    return {key: value for key, value in inline_functions(header(name)).items() if "Of this file." not in value[0]}


# ---- what is said ----------------------------------------------------------------------------------------------------

WHEN = re.compile(
    r"Section: (yes|no|in one)\b[^.]*\. State: (no|needed)\b[^.]*\. Blocks: (yes|no|as an import does)\. (.+)$"
)
WHOSE = re.compile(r"\b(the kernel|liburcu|QEMU|minircu|NumPy|Python)'s\b|\bC\+\+26's\b", re.I)


def lacking(name, comment):
    """What the comment does not say of where the function may be called, and whose it is."""
    found = WHEN.search(comment)
    if found is None:
        return f"{name}: when it may be called"
    return None if WHOSE.search(found[4]) else f"{name}: whose function it is"


def test_each_function_says_when_it_may_be_called_and_whose_it_is():
    offered = functions("api.h")
    assert len(offered) == len(re.findall(r"^static inline ", header("api.h"), re.M)) - 1  # rcu_api_of
    assert [lacking(name, comment) for name, (comment, _) in offered.items() if lacking(name, comment)] == []


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Does it. The kernel's do_it().", "when it may be called"),
        ("Does it. Section: yes. State: no. Blocks: no.", "when it may be called"),
        ("Does it. Section: perhaps. State: no. Blocks: no. QEMU's do_it().", "when it may be called"),
        ("Does it. Section: yes. State: no. Blocks: no. As one would think.", "whose function it is"),
    ],
)
def test_what_is_not_said_is_missed(comment, expected):
    assert lacking("rcu_it", comment) == f"rcu_it: {expected}"


def test_each_reading_function_says_whose_it_is():
    for name, (comment, _) in functions("read.h").items():
        assert WHOSE.search(comment), name


# ---- the same in Cython ----------------------------------------------------------------------------------------------


def declared():
    """What the package's .pxd declares: for each function its line, and whether it is nogil."""
    text = (Path(rcu.__file__).parent / "__init__.pxd").read_text()
    found = {}
    nogil = None
    for line in text.splitlines():
        block = re.match(r'cdef extern from "rcu/\w+\.h"( nogil)?:$', line)
        if block:
            nogil = block[1] is not None
        function = re.match(r" {4}(?!ctypedef)\S.*?\b(rcu_\w+)\((.*)\)(.*)$", line)
        if function:
            assert function[1] not in found, function[1]
            found[function[1]] = (line.strip(), nogil)
    return found


def macros():
    return set(re.findall(r"^#define (rcu_\w+)\(", header("pointer.h"), re.M))


def test_cython_is_offered_the_same_functions():
    offered = {name for part in OFFERED for name in functions(part)} | macros()
    assert len(offered) > 50
    assert set(declared()) == offered


def test_what_needs_no_thread_state_is_nogil_and_nothing_raises_unasked():
    comments = {name: comment for part in OFFERED for name, (comment, _) in functions(part).items()}
    for name, (line, nogil) in declared().items():
        of_python = "State: needed" in comments.get(name, "") or "(object " in line
        assert nogil == (not of_python), line
        raises = "State: needed" in comments.get(name, "")
        assert re.search(r"\) except (-1|NULL)( |$)" if raises else r"\) noexcept$", line), line


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


CALLER = """# cython: language_level=3
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from rcu cimport *
"""
# Arguments of other types than the headers', which C compilers may let pass with a warning.
STRICT = ["-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Werror=implicit-function-declaration"]


def test_cythons_types_are_the_headers(tmp_path):
    """A module that calls each of the functions compiles; that of the macros' is for who uses them."""
    calls = []
    for name, (line, nogil) in declared().items():
        if name in macros():
            continue
        found = re.fullmatch(r"(.*?)\b(rcu_\w+)\((.*)\)(.*)", line.split("  #")[0])
        result, _, arguments, ends = found.groups()
        names = [re.search(r"(\w+)$", one)[1] for one in arguments.split(", ")] if arguments else []
        back = "return " if result.strip() != "void" else ""
        calls.append(
            f"cdef public {result}call_{name}({arguments}){ends}{' nogil' if nogil else ''}:\n"
            f"    {back}{name}({', '.join(names)})\n"
        )
    assert len(calls) > 50
    (tmp_path / "caller.pyx").write_text(CALLER + "\n".join(calls))
    package = str(Path(rcu.__file__).parents[1])
    code, output = run(sys.executable, "-m", "cython", "-3", "-I", package, str(tmp_path / "caller.pyx"))
    assert code == 0, output
    if shutil.which(CC) is None:
        pytest.fail(f"no C compiler {CC!r}, which built this interpreter: install it (Debian: gcc libc6-dev)")
    python = f"-I{sysconfig.get_path('include')}"
    code, output = run(CC, "-fsyntax-only", *STRICT, f"-I{INCLUDE}", python, str(tmp_path / "caller.c"))
    assert code == 0, output


# ---- what compiled extensions rely on --------------------------------------------------------------------------------

LAYOUTS = {
    1: {
        "rcu_head": [(0, "struct rcu_head *next"), (8, "rcu_callback func")],
        "rcu_slot": [
            (0, "uint64_t seq"),
            (8, "uint64_t nest"),
            (16, "uint64_t awaited"),
            (24, "uint64_t parked"),
            (32, "const uint64_t *gp"),
            (40, "const struct rcu_slow *slow"),
            (48, "struct rcu_domain *domain"),
            (56, "uint64_t fence"),
            (64, "uint64_t key"),
            (72, "uint64_t index"),
            (80, "uint64_t ident"),
            (88, "uint64_t native_id"),
            (96, "struct rcu_slot *spare"),
            (104, "struct rcu_outbox *outbox"),
            (112, "uint64_t reserved[2]"),
        ],
        "rcu_slow": [
            (0, "void (*enter)(struct rcu_slot *slot)"),
            (8, "void (*enter_parked)(struct rcu_slot *slot)"),
            (16, "void (*exit)(struct rcu_slot *slot)"),
        ],
        "rcu_entry": [(0, "uint64_t key"), (8, "struct rcu_slot *slot")],
        "rcu_domain_begin": [(0, "uint64_t key"), (8, "intptr_t entry_at")],
        "rcu_api": [
            (0, "uint32_t abi"),
            (4, "uint32_t size"),
            (8, "const char *version"),
            (16, "uint64_t slot_size"),
            (24, "uint64_t head_size"),
            (32, "struct rcu_domain *default_domain"),
            (40, "struct rcu_domain *(*domain_new)(const char *name)"),
            (48, "void (*domain_free)(struct rcu_domain *domain)"),
            (56, "struct rcu_domain *(*domain_of)(PyObject *domain)"),
            (64, "struct rcu_slot *(*this_slot)(struct rcu_domain *domain)"),
            (72, "int (*unregister_thread)(struct rcu_domain *domain)"),
            (80, "void (*quiesce)(struct rcu_slot *slot)"),
            (88, "int (*synchronize)(struct rcu_domain *domain, uint64_t timeout_ns)"),
            (96, "uint64_t (*start_poll)(struct rcu_domain *domain)"),
            (104, "int (*poll)(struct rcu_domain *domain, uint64_t cookie)"),
            (112, "void (*call)(struct rcu_domain *domain, struct rcu_head *head, rcu_callback func)"),
            (120, "void (*call_checked)(struct rcu_domain *domain, struct rcu_head *head, rcu_callback func)"),
            (128, "int (*retire)(struct rcu_domain *domain, PyObject *object)"),
            (136, "int (*barrier)(struct rcu_domain *domain, uint64_t timeout_ns)"),
            (144, "int (*check)(struct rcu_domain *domain, int outcome, const char *what)"),
            (152, "PyTypeObject *cell_type"),
            (160, "intptr_t cell_value_at"),
            (168, "struct rcu_domain *(*cell_domain)(PyObject *cell)"),
        ],
    }
}
"""For each RCU_ABI: where the members are of what compiled extensions and the package share. Code that was compiled
against one of these relies on it: what is written here never changes. Another layout is another RCU_ABI, with an entry
of its own; a member at the end of rcu_api is added here alone, for it changes the table's size."""
SIZES = {1: {"rcu_head": 16, "rcu_slot": 128, "rcu_slow": 24, "rcu_entry": 16, "rcu_domain_begin": 16, "rcu_api": 176}}
CONSTANTS = {
    1: {
        "RCU_SEQ_DETACHED": 0,
        "RCU_SEQ_BUSY": 1,
        "RCU_SEQ_QUIESCED": 2,
        "RCU_SEQ_STEP": 2,
        "RCU_SEQ_FIRST": 4,
        "RCU_SEQ_NEVER": 0,
        "RCU_DONE": 0,
        "RCU_IN_SECTION": 1,
        "RCU_IN_CALLBACK": 2,
        "RCU_TIMED_OUT": 3,
        "RCU_FINALIZING": 4,
    }
}
"""What is compiled into them, too."""

HOMES = {
    "rcu_head": "head.h", "rcu_slot": "slot.h", "rcu_slow": "slot.h", "rcu_entry": "this_thread.h",
    "rcu_domain_begin": "this_thread.h", "rcu_api": "api.h",
}  # fmt: skip
NUMBER = int(re.search(r"^#define RCU_ABI (\d+)$", header("version.h"), re.M)[1])


def members(struct):
    """What the header declares, in order."""
    body = re.search(rf"^struct {struct} {{\n(.*?)^}};", blanked(header(HOMES[struct])), re.M | re.S)[1]
    found = []
    for declaration in (" ".join(one.split()) for one in body.split(";")):
        several = re.fullmatch(r"(\w+) (\w+(?:, \w+)+)", declaration)
        if several:
            found += [f"{several[1]} {name}" for name in several[2].split(", ")]
        elif declaration:
            found.append(declaration)
    return found


def name_of(declaration):
    return (re.search(r"\(\*(\w+)\)", declaration) or re.search(r"(\w+)(?:\[\d+\])?$", declaration))[1]


def test_no_member_changes_without_another_abi():
    assert NUMBER in LAYOUTS, f"write down the layouts of RCU_ABI {NUMBER}"
    for struct, expected in LAYOUTS[NUMBER].items():
        assert members(struct) == [declaration for _, declaration in expected], f"struct {struct}: raise RCU_ABI"


@LP64
def test_no_offset_changes_without_another_abi(tmp_path):
    """Told by the compiler of this interpreter."""
    if shutil.which(CC) is None:
        pytest.fail(f"no C compiler {CC!r}, which built this interpreter: install it (Debian: gcc libc6-dev)")
    checks = [
        f'_Static_assert(offsetof(struct {struct}, {name_of(declaration)}) == {offset}, "{struct} {declaration}");'
        for struct, layout in LAYOUTS[NUMBER].items()
        for offset, declaration in layout
    ] + [
        f'_Static_assert(sizeof(struct {struct}) == {size}, "size of {struct}");'
        for struct, size in SIZES[NUMBER].items()
    ]
    checks += [f'_Static_assert({name} == {value}, "{name}");' for name, value in CONSTANTS[NUMBER].items()]
    # rcu_this_slot() looks at it.
    checks.append('_Static_assert(offsetof(struct rcu_domain, key) == 0, "a domain begins with its key");')
    assert len(checks) > 60
    source = tmp_path / "layout.c"
    for text, expected in ("\n".join(checks), 0), ("\n".join(checks).replace("== 112", "== 120"), 1):
        source.write_text(f"#include <rcu/api.h>\n#include <rcu/domain.h>\n{text}\n")
        python = f"-I{sysconfig.get_path('include')}"
        code, output = run(CC, "-fsyntax-only", f"-I{INCLUDE}", python, str(source))
        assert (code != 0) == expected, output


def test_one_version_everywhere():
    said = re.search(r'^#define RCU_VERSION "(.*)"$', header("version.h"), re.M)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert said == rcu.__version__ == project["version"] == rcu._api.VERSION
    assert rcu._api.ABI == NUMBER
