from Cython.Build import cythonize
from setuptools import Extension, setup

import rcu

setup(ext_modules=cythonize([Extension("*", ["*.pyx"], include_dirs=[rcu.get_include()])]))
