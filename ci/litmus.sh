#!/bin/sh
# litmus.sh [--keep FOLDER] [NAME...]: runs the litmus tests of the memory orders (tests/litmus/), or those named, and
# prints what each model of hardware and of C11 should show of them and what it does.

. "$(dirname "$0")/common.sh"

herd7=$(sh "$root/ci/herd7.sh")
python=$(sh "$root/ci/python.sh")

# What FOLDER is relative to is where the caller is.
PYTHONPATH=$root/tests exec "$python" -P -m litmus --herd "$herd7" "$@"
