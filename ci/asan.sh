#!/bin/sh
# asan.sh [ARGUMENT...]: runs the tests, with these arguments of pytest, and the torture under AddressSanitizer with
# leak checks, and the package under UndefinedBehaviorSanitizer, on a free-threaded CPython that is built with the
# first. Any report fails, but of leaks only what the package allocated. RCU_ASAN_PYTHON names another such CPython
# than the one in the cache; RCU_TORTURE_SECONDS is how long the torture takes, 60 by default.

. "$(dirname "$0")/common.sh"

sanitizer=asan
flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
given=${RCU_ASAN_PYTHON:-}
. "$root/ci/sanitizer.sh"

# An error ends its process at once, a leak is no more than logged. The module is named in each frame, for reports.py.
# Undefined behaviour is told on stderr, for GCC's runtime has no log beside the other's: the tests fail of the end.
log_to() {
    export ASAN_OPTIONS="log_path=$1/log:detect_leaks=1:abort_on_error=1:exitcode=0:detect_stack_use_after_return=1:\
stack_trace_format='    #%n %p in %f %L (%m+%o)'"
    export UBSAN_OPTIONS="print_stacktrace=1:abort_on_error=1"
}

runnable "$0" "$@"
interpreter --with-address-sanitizer
install
flaw flawed_leak leak:.*flawed_leak
flaw flawed_overflow heap-buffer-overflow
aborts=1 flaw flawed_shift 'runtime error: shift' 40
tests "$@"
