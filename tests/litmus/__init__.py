"""The memory orders of the engine, as litmus tests for herd7: `sh ci/litmus.sh` runs them.

*.litmus        the tests; source.py tells their syntax
source.py       reads them
models.py       places the heavy barrier, and translates to C11
machines.py     translates to AArch64, RISC-V and x86-64
compilers.py    compares that with what compilers do
herd.py         runs herd7
code.py         finds the lines of the code that the tests are about
__main__.py     the table
"""
