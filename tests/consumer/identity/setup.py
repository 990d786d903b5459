from setuptools import Extension, setup

import rcu

setup(
    ext_modules=[
        Extension("identity", ["identity.c"], depends=["table.h"], include_dirs=[rcu.get_include()]),
        # What it is measured against; not a part of it.
        Extension("rivals", ["rivals.c"], depends=["table.h"], include_dirs=[rcu.get_include()]),
    ]
)
