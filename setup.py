"""The extension modules; everything else is in pyproject.toml."""

import os
import sys
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

MUTANT = os.environ.get("RCU_MUTANT", "")
if MUTANT:
    # A fault, planted to see that the proofs notice: see tests/mutants. Only into what is compiled.
    sys.path.insert(0, "tests/mutants")
    from plant import plant

    SOURCES = plant(MUTANT, Path("build", "mutants", MUTANT)).as_posix() + "/"
else:
    SOURCES = ""

HEADERS = sorted(glob(f"{SOURCES}include/rcu/*.h"))
MODULES = [
    "rcu._clock",
    "rcu._flavor",
    "rcu._gate",
    "rcu._threads",
    "rcu._garbage",
    "rcu._slots",
    "rcu._grace",
    "rcu._queue",
    "rcu._reclaim",
    "rcu._deferred",
    "rcu._refcount",
    "rcu._sections",
    "rcu._waits",
    "rcu._writers",
    "rcu._logs",
    "rcu._calls",
    "rcu._ends",
    "rcu._limits",
    "rcu._domain",
    "rcu._replaced",
    "rcu._cell",
    "rcu._heads",
    "rcu._api",
    "rcu.bench._lists",
    "rcu.bench._native",
    "rcu.bench._slots",
    "rcu.torture._deferrers",
    "rcu.torture._field",
    "rcu.torture._lists",
    "rcu.torture._readers",
    "rcu.torture._updaters",
]

if sys.platform == "win32":
    compile_args, link_args = ["/O2", "/std:c11"], []
else:
    # Beyond CPython's own flags; errors are for ci/, where the compiler is known.
    compile_args, link_args = ["-O2", "-fno-semantic-interposition"], ["-pthread"]

compile_args += os.environ.get("RCU_CFLAGS", "").split()
link_args += os.environ.get("RCU_LDFLAGS", "").split()

setup(
    ext_modules=cythonize(
        [
            Extension(
                name,
                [SOURCES + name.replace(".", "/") + ".pyx"],
                include_dirs=[f"{SOURCES}include"],
                depends=HEADERS,
                extra_compile_args=compile_args,
                extra_link_args=link_args,
            )
            for name in MODULES
        ],
        include_path=[SOURCES or "."],
        compiler_directives={
            "language_level": 3,
            "freethreading_compatible": True,
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
        },
    )
)
