import rcu
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(ext_modules=cythonize([Extension("*", ["*.pyx"], include_dirs=[rcu.get_include()])]))
