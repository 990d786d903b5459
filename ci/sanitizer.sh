# Sourced after common.sh by the scripts that run the tests under a sanitizer, which set, before:
#
#   sanitizer  its short name, as build-python.sh knows it
#   flags      of the compiler, also for linking
#   given      an interpreter to take in place of the one in the cache
#
# and define log_to FOLDER: exports the sanitizer's options, among them that it logs there.
# shellcheck shell=sh disable=SC2034,SC2154  # variables of common.sh and of those scripts

sh "$root/ci/packages.sh" cc:gcc cc:libc6-dev setarch:util-linux
# Nothing that is done before the tests is what is looked for.
export ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=report_bugs=0

work=$(mktemp -d "$cache/$sanitizer.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The runtime wants the addresses that it shadows, which some kernels give away at random: then off with that.
# runnable SCRIPT [ARGUMENT...]
runnable() {
    # shellcheck disable=SC2086  # a list
    printf 'int main(void) { return 0; }' | cc -x c $flags -o "$work/empty" - 2>"$work/said" ||
        die "cc cannot build with $flags: $(tail -n 1 "$work/said")." \
            "Its runtime is missing: apt-get install gcc (for clang, libclang-rt-dev)"
    "$work/empty" 2>"$work/said" && return
    [ -z "${RCU_NOT_RANDOM:-}" ] ||
        die "$sanitizer does not run here, without random addresses neither: $(head -n 1 "$work/said")"
    say "runs without random addresses, for with them: $(head -n 1 "$work/said")"
    rm -rf "$work"
    export RCU_NOT_RANDOM=1
    exec setarch -R sh "$@"
}

# interpreter OPTION: sets python to a free-threaded one that was configured so, and prefix to where it lies.
interpreter() {
    if [ -n "$given" ]; then
        python=$(command -v "$given") || die "$given: there is no such program"
    else
        python=$(sh "$root/ci/build-python.sh" "$sanitizer")
        python=${python#* * }
    fi
    "$python" -I -c 'import sys, sysconfig
known = sysconfig.get_config_var
sys.exit(not (known("Py_GIL_DISABLED") and sys.argv[1] in known("CONFIG_ARGS")))' "$1" ||
        die "$python is not configured --disable-gil $1"
    prefix=$("$python" -I -c 'import sys; print(sys.base_prefix)')
}

# install: builds the package with the sanitizer, and sets python to an environment's that has it. The sanitized
# interpreter is slow, and an ordinary one of the same series builds and installs the same, if there is one.
install() {
    found=$(probe "$python")
    builder=$(usable "python${found%% *}" 2>/dev/null) || builder=$found
    built=$(RCU_CFLAGS="-g -fno-omit-frame-pointer $flags" RCU_LDFLAGS=$flags sh "$root/ci/build.sh" "${builder#* * }")
    site=$("$built" -I -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
    quietly "$cache/log/$sanitizer.log" "$python" -m venv --without-pip "$work/env"
    python=$work/env/bin/python
    own=$("$python" -I -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
    rmdir "$own"
    ln -s "$site" "$own"
}

# flaw FUNCTION REPORT [ARGUMENT]: the sanitizer is at work only if it reports what that function of flawed.c does.
# The library stands where a module of the package would. aborts=1: it does so on stderr, and ends the process.
flaw() {
    rm -rf "$work/flaw"
    mkdir -p "$work/flaw" "$work/rcu"
    # shellcheck disable=SC2086  # a list
    [ -e "$work/rcu/flawed.so" ] ||
        cc -g -fPIC -shared -fno-omit-frame-pointer $flags -o "$work/rcu/flawed.so" "$root/ci/flawed.c"
    (
        log_to "$work/flaw"
        "$python" -I -c 'import ctypes, sys
getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])(*map(int, sys.argv[3:]))' "$work/rcu/flawed.so" "$1" ${3:+"$3"} ||
            exit # the shell's own word on how it ended goes there, too
    ) >"$work/said" 2>&1 && [ -n "${aborts:-}" ] && die "$sanitizer lets go on after $1"
    [ -z "${aborts:-}" ] || cp "$work/said" "$work/flaw/log"
    if "$python" -I "$root/ci/reports.py" "$work/flaw" >"$work/flawed" 2>&1 || ! grep -q "^report .*$2" "$work/flawed"; then
        tail -n 20 "$work/said" "$work/flawed" >&2
        die "$sanitizer does not report $1, so it would not report anything else"
    fi
}

# tests [ARGUMENT...]: pytest's, with these arguments, and then the torture; fails if they do, or for any report.
#
# Left out, for they start compilers and shells, and nothing of the engine that the others do not: test_wheel.py
# (builds packages), test_consumers*.py and test_docs_extensions.py (build packages, with pip and Cython),
# test_native.py (its programs have sanitizers of their own in native.sh), test_ci.py and test_sanitizers.py (run
# these scripts). And the tests that free what is being read, to see that the torture notices: so would the
# sanitizer.
tests() {
    cd "$root" || exit
    mkdir "$work/logs"
    log_to "$work/logs"
    failed=
    export RCU_TEST_SLOWNESS=10 PYTHONSAFEPATH=1
    say "tests on $python"
    "$python" -m pytest --import-mode=importlib -n 2 -o faulthandler_timeout=1200 \
        -o faulthandler_exit_on_timeout=true --ignore=tests/test_wheel.py --ignore=tests/test_ci.py \
        --ignore=tests/test_sanitizers.py --ignore=tests/test_native.py --ignore-glob='tests/test_consumers*.py' \
        --ignore=tests/test_docs_extensions.py \
        --deselect=tests/test_torture.py::test_objects_freed_without_a_grace_period_are_noticed \
        --deselect=tests/test_torture.py::test_list_entries_freed_without_a_grace_period_are_noticed "$@" ||
        failed="$failed the tests,"
    say "torture"
    "$python" -m rcu torture --seconds "${RCU_TORTURE_SECONDS:-60}" --patience 600 || failed="$failed the torture,"
    export ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=report_bugs=0
    "$python" -I "$root/ci/reports.py" "$work/logs" || failed="$failed reports of $sanitizer,"
    [ -z "$failed" ] || die "failed:${failed%,}"
}
