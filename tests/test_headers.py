"""The headers as others compile them: by GCC and Clang, as C11 and C++17, for release and for debugging; and that they
hide from MSVC what it does not know."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import processes
import rcu
from sources import ROOT, blanked, joined

INCLUDE = Path(rcu.get_include())
# The other halves of what a header picks by the system; they are included by that alone.
PARTS = {"thread_posix.h", "thread_windows.h", "barrier_fence.h", "barrier_linux.h", "barrier_windows.h"}
ALL = sorted(path.name for path in (INCLUDE / "rcu").glob("*.h"))
ALONE = [name for name in ALL if name not in PARTS]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
# As Python.h does, without which strict C11 has no clock and no system call.
C11 = ["-x", "c", "-std=c11", "-D_GNU_SOURCE"]
CXX17 = ["-x", "c++", "-std=c++17"]
COMPILERS = {"gcc": ("gcc", C11), "g++": ("g++", CXX17), "clang": ("clang", C11), "clang++": ("clang", CXX17)}

posix = pytest.mark.skipif(os.name == "nt", reason="these are compilers of POSIX systems; see ci/native.sh for MinGW")


def compiled(compiler, text, *options):
    """What became of the text, a source file."""
    package, language = COMPILERS[compiler]
    if shutil.which(compiler) is None:
        pytest.fail(f"no {compiler} here, for which this package's headers are: install it (Debian: {package})")
    python = ["-isystem", sysconfig.get_path("include")]
    command = [compiler, *language, *WARNINGS, f"-I{INCLUDE}", *python, *options, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@posix
@pytest.mark.parametrize("debug", [False, True], ids=["release", "debug"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_header_stands_alone_and_may_be_included_twice(compiler, debug):
    assert {path.name for path in (ROOT / "include" / "rcu").glob("*.h")} == set(ALL)
    for name in ALONE:
        # A file with nothing in it is not ISO C.
        text = f"#include <rcu/{name}>\n" * 2 + "extern int headers_nothing;\n"
        done = compiled(compiler, text, "-fsyntax-only", *["-DRCU_DEBUG"] * debug)
        assert done.returncode == 0, f"{name}: {done.stderr}"


@posix
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_warning_would_be_found(compiler):
    text = "#include <rcu/read.h>\nstatic inline int of(int unused) { return 0; }\nextern int headers_nothing;\n"
    done = compiled(compiler, text, "-fsyntax-only")
    assert done.returncode != 0
    assert "unused" in done.stderr


BEGINS = """
#define RCU_API_TABLE headers_table
#include <rcu/api.h>
#if defined(__cplusplus)
extern "C"
#endif
int headers_import(void);
int headers_import(void) { return rcu_import(); }
"""
FOLLOWS = """
#define RCU_API_TABLE headers_table
#define RCU_API_ELSEWHERE
#include <rcu/api.h>
#if defined(__cplusplus)
extern "C"
#endif
int headers_wait(void);
int headers_wait(void) { return rcu_synchronize(rcu_default_domain()); }
"""


def linked(folder, compiler, *sources):
    objects = []
    for number, source in enumerate(sources):
        objects.append(str(folder / f"{number}.o"))
        done = compiled(compiler, source, "-fPIC", "-c", "-o", objects[-1])
        assert done.returncode == 0, done.stderr
    library = folder / "shared.so"
    dynamic = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    return library, processes.run(compiler, "-shared", *dynamic, *objects, "-o", str(library))


@posix
@pytest.mark.parametrize("compiler", COMPILERS)
def test_two_files_share_a_table(compiler, tmp_path):
    library, done = linked(tmp_path, compiler, BEGINS, FOLLOWS)
    assert done.returncode == 0, done.stderr
    functions = ctypes.PyDLL(str(library))
    before = rcu.stats().grace_periods
    assert functions.headers_import() == 0
    assert functions.headers_wait() == 0  # by the table that the other file has found
    assert rcu.stats().grace_periods > before


@posix
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_table_that_both_files_define_does_not_link(compiler, tmp_path):
    _, done = linked(tmp_path, compiler, BEGINS, FOLLOWS.replace("#define RCU_API_ELSEWHERE\n", ""))
    assert done.returncode != 0
    assert "headers_table" in done.stderr


# ---- what only GNU's compilers and their like know -------------------------------------------------------------------

GNU = re.compile(
    r"__attribute__|__builtin_\w+|\b(?:__)?asm(?:__)?\b|__atomic_\w+|__sync_\w+|\b(?:__)?typeof(?:__)?\b|__extension__|"
    r"\b__thread\b|__int128|#\s*pragma\s+GCC|\(\s*\{|\?:"
)
# What MSVC is not, nor clang-cl, which says that it is Clang.
EXCLUDES = re.compile(
    r"(?:defined ?\(? ?)?(?:__GNUC__|__GLIBC__|__linux__|__APPLE__)\)?(?: ?[>=]+ ?\d+)?"
    r"|!defined ?\(? ?(?:_WIN32|_MSC_VER)\)?"
)
ASKS_FOR = re.compile(r"defined ?\(? ?(?:_WIN32|_MSC_VER)\)?|!defined ?\(? ?(?:__GNUC__)\)?")


def excludes(condition):
    """Is it false under MSVC, whatever else holds?"""
    return all(
        any(EXCLUDES.fullmatch(term.strip()) for term in one.split("&&"))
        for one in condition.replace("(defined", "defined").split("||")
    )


def requires(condition):
    """Is it true under MSVC, so that what follows its #else is none of that one's business?"""
    return any(ASKS_FOR.fullmatch(term.strip()) for term in condition.split("||"))


def unguarded(text):
    """The GNU-only words that MSVC would see: pairs of line and word."""
    found = []
    stack = []  # for each open #if: is this branch excluded; was one before it that MSVC takes
    for number, line in joined(blanked(text)):
        directive = re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*(.*)", line)
        if directive is None:
            if not any(excluded for excluded, _ in stack):
                found += [(number, word) for word in GNU.findall(line)]
            continue
        kind, condition = directive.groups()
        condition = {"ifdef": f"defined({condition})", "ifndef": f"!defined({condition})"}.get(kind, condition)
        if kind == "endif":
            stack.pop()
            continue
        taken = stack.pop()[1] if kind in ("elif", "else") else False
        stack.append((taken or (kind != "else" and excludes(condition)), taken or requires(condition)))
    assert not stack
    return found


def included_for_others(name):
    """Is the header a part that is never included under MSVC?"""
    includes = [
        unguarded(re.sub(rf'#include "{re.escape(name)}"', "__attribute__", path.read_text()))
        for path in (INCLUDE / "rcu").glob("*.h")
        if f'#include "{name}"' in path.read_text()
    ]
    return includes and not any("__attribute__" in [word for _, word in found] for found in includes)


@pytest.mark.parametrize("name", ALL)
def test_nothing_that_gnu_alone_knows_is_shown_to_msvc(name):
    if name in ("thread_posix.h", "barrier_linux.h"):
        assert included_for_others(name)
    else:
        assert unguarded((INCLUDE / "rcu" / name).read_text()) == []


def test_parts_that_msvc_includes_are_told_apart():
    assert not included_for_others("thread_windows.h")
    assert not included_for_others("slot.h")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int a __attribute__((cold));\n", [(1, "__attribute__")]),
        ("#if defined(__GNUC__)\n__builtin_trap();\n#endif\n", []),
        ("#ifdef __GNUC__\n#define P __builtin_trap()\n#endif\n", []),
        ("#if defined(__GNUC__)\n#else\n__builtin_trap();\n#endif\n", [(3, "__builtin_trap")]),
        ("#if defined(__GNUC__)\n#elif defined(_MSC_VER)\n__asm__();\n#endif\n", [(3, "__asm__")]),
        ("#ifndef __GNUC__\nint a;\n#else\n__atomic_load_n(p, 0);\n#endif\n", []),
        ("#if defined(_WIN32)\nint a;\n#elif X\n__atomic_load_n(p, 0);\n#endif\n", []),
        ("#if defined(__GNUC__) || X\n__typeof__(a) b;\n#endif\n", [(2, "__typeof__")]),
        ("#if defined(__GNUC__) && X > 3\n#if Y\nint a = ({ 1; });\n#endif\n#endif\n", []),
        ("#if X\n#define A(b) \\\n    ({ b; })\n#endif\n", [(2, "({")]),
        ("#if defined(__GNUC__)\n#endif\nint a = b ?: c;\n", [(3, "?:")]),
        ('/* __attribute__ */ const char *a = "__asm__"; // typeof\n', []),
    ],
)
def test_the_scanner_tells_them_apart(text, expected):
    assert unguarded(text) == expected


@pytest.mark.parametrize("name", [name for name in ALL if name != "thread_posix.h" and name != "barrier_linux.h"])
def test_a_planted_line_is_found(name):
    """... in whatever place the header's last line is, and after all of its conditions but the guard."""
    lines = (INCLUDE / "rcu" / name).read_text().splitlines()
    assert lines[-1] == "#endif"
    planted = "\n".join([*lines[:-1], "int a __attribute__((cold));", lines[-1]])
    assert unguarded(planted) == [(len(lines), "__attribute__")]


# ---- less than all of Python, and of the system ----------------------------------------------------------------------


@posix
@pytest.mark.parametrize("debug", [False, True], ids=["release", "debug"])
@pytest.mark.parametrize("name", ["read.h", "pointer.h", "list.h", "array.h", "this_thread.h", "debug.h"])
def test_readers_headers_are_strict_c11_behind_any_other(name, debug):
    """Where Python.h comes first, or nothing, the system shows all it has; else what a strict build is shown."""
    text = f"#include <stdio.h>\n#include <rcu/{name}>\nextern int headers_nothing;\n"
    done = compiled("gcc", text, "-fsyntax-only", "-U_GNU_SOURCE", *["-DRCU_DEBUG"] * debug)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="without the GIL there is no limited API yet"
)
@pytest.mark.parametrize("debug", [False, True], ids=["release", "debug"])
def test_the_limited_api_is_enough(debug):
    text = "#define Py_LIMITED_API 0x030d0000\n#include <Python.h>\n#include <rcu/api.h>\n"
    done = compiled("gcc", text, "-fsyntax-only", *["-DRCU_DEBUG"] * debug)
    assert done.returncode == 0, done.stderr
