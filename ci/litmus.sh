#!/bin/sh
# litmus.sh [--keep FOLDER] [NAME...]: runs the litmus tests of the memory orders (tests/litmus/), or those named, and
# prints what each model of hardware and of C11 should show of them and what it does. With no NAME, it also compares
# what the tests take the compilers to make of each order with what they do make of it.

. "$(dirname "$0")/common.sh"

herd7=$(sh "$root/ci/herd7.sh")
python=$(sh "$root/ci/python.sh")

export PYTHONPATH="$root/tests"

named=
last=
for argument in "$@"; do
    case $last,$argument in
        --keep,* | --jobs,* | *,-*) ;;
        *) named=1 ;;
    esac
    last=$argument
done
if [ -z "$named" ]; then
    sh "$root/ci/packages.sh" clang:clang gcc:gcc aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu \
        riscv64-linux-gnu-gcc:gcc-riscv64-linux-gnu
    "$python" -P -m litmus.compilers clang gcc aarch64-linux-gnu-gcc riscv64-linux-gnu-gcc
fi
exec "$python" -P -m litmus --herd "$herd7" "$@"
