"""The extension modules; everything else is in pyproject.toml."""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

HEADERS = sorted(glob("include/rcu/*.h"))
MODULES = [
    "rcu._clock",
    "rcu._flavor",
    "rcu._threads",
    "rcu._slots",
    "rcu._grace",
    "rcu._refcount",
    "rcu._sections",
    "rcu._domain",
    "rcu.bench._native",
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
                [name.replace(".", "/") + ".pyx"],
                include_dirs=["include"],
                depends=HEADERS,
                extra_compile_args=compile_args,
                extra_link_args=link_args,
            )
            for name in MODULES
        ],
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
