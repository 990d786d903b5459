import os

from setuptools import Extension, setup

import rcu

CXX17 = "/std:c++17" if os.name == "nt" else "-std=c++17"

setup(
    ext_modules=[
        Extension(
            name,
            [f"{name}.cpp"],
            depends=["names.hpp"],
            include_dirs=[rcu.get_include()],
            extra_compile_args=[CXX17],
        )
        for name in ("registry", "registry_rivals")  # the other is what it is measured against; not a part of it
    ]
)
