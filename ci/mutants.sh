#!/bin/sh
# mutants.sh [--quick] [--list] [--sound N] [MUTANT...]: plants one fault after the other (tests/mutants) and
# requires that a litmus test, the model, the torture or a test finds it. --sound N: runs those checks on the
# sources as they are instead, N times each, where they must find nothing.

. "$(dirname "$0")/common.sh"

python=$(sh "$root/ci/build.sh")
herd7=$(sh "$root/ci/herd7.sh")
work=$(mktemp -d "$cache/mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
cd "$root"
"$python" tests/mutants/hunt.py --work "$work" --herd "$herd7" "$@"
