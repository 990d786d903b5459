#!/bin/sh
# test.sh [ARGUMENT...]: runs the tests, with these arguments of pytest, on each interpreter that is here,
# and at last on the first one again with the portable read side. RCU_TEST_ONLY=1: on the first one only.

. "$(dirname "$0")/common.sh"

pythons=$(mktemp -d "$cache/test.XXXXXX")
trap 'rm -rf "$pythons"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The tests compile what other people's extensions are compiled by.
sh "$root/ci/packages.sh" gcc:gcc g++:g++ clang:clang clang++:clang
# Of what is optional, all: the sanitizers' runs make do without.
extras=test,bench,plot
all=--all
if [ "${RCU_TEST_ONLY:-0}" != 0 ]; then all=; fi
sh "$root/ci/python.sh" $all >"$pythons/list"

# All at once, as one build leaves most processors idle. What makes one fail is mostly the same for all:
# only the first one says it at once, the others if that one is well.
say "builds for $(wc -l <"$pythons/list") interpreters"
number=0
while IFS= read -r python; do
    number=$((number + 1))
    if [ "$number" = 1 ]; then
        sh "$root/ci/build.sh" "$python" "$extras" >"$pythons/$number" </dev/null &
    else
        sh "$root/ci/build.sh" "$python" "$extras" >"$pythons/$number" 2>"$pythons/$number.said" </dev/null &
    fi
done <"$pythons/list"
wait

failed=
# run PYTHON WHAT [ARGUMENT...]. The installed package is what is tested, not the checkout's rcu/, which
# lacks the extension modules: nor may xdist's workers, and what the tests start, import that.
run() {
    python=$1
    what=$2
    shift 2
    if [ -n "$failed" ]; then say "failed so far:$failed"; fi
    say "tests on $what"
    # A test that hangs fails, by way of its worker's end, and the rest goes on.
    PYTHONSAFEPATH=1 "$python" -m pytest --import-mode=importlib -n auto \
        -o faulthandler_exit_on_timeout=true "$@" || failed="$failed $what;"
}

cd "$root"
total=$number
for number in $(seq "$total"); do
    given=$(sed -n "${number}p" "$pythons/list")
    python=$(cat "$pythons/$number")
    if [ -n "$python" ]; then
        run "$python" "$given" "$@"
    else
        if [ "$number" != 1 ] && [ -s "$pythons/1" ]; then cat "$pythons/$number.said" >&2; fi
        failed="$failed $given (no build);"
    fi
done
python=$(cat "$pythons/1")
if [ -n "$all" ] && [ -n "$python" ]; then
    export RCU_FLAVOR=fence
    run "$python" "$(head -n 1 "$pythons/list") with RCU_FLAVOR=fence" "$@"
fi
if [ -n "$failed" ] && [ ! -s "$pythons/1" ]; then say "failed:$failed"; fi
[ -z "$failed" ]
