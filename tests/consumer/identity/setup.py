import rcu
from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension("identity", ["identity.c"], depends=["table.h"], include_dirs=[rcu.get_include()]),
    ]
)
