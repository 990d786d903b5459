#!/bin/sh
# tsan.sh [ARGUMENT...]: runs the tests, with these arguments of pytest, and the torture under ThreadSanitizer, on a
# free-threaded CPython that is built with it, too. Any report fails. RCU_TSAN_PYTHON names another such CPython than
# the one in the cache; RCU_TORTURE_SECONDS is how long the torture takes, 60 by default.

. "$(dirname "$0")/common.sh"

sanitizer=tsan
flags=-fsanitize=thread
given=${RCU_TSAN_PYTHON:-}
. "$root/ci/sanitizer.sh"

# Processes go on after a report, and fork children may start threads. Exit codes are left alone: the logs tell. The
# detector of deadlocks ends a process that holds 64 locks at once, and who forks holds those of all domains.
log_to() {
    export TSAN_OPTIONS="log_path=$1/log:exitcode=0:halt_on_error=0:die_after_fork=0:detect_deadlocks=0:\
history_size=7:print_suppressions=1:suppressions=$work/tsan.supp"
}

runnable "$0" "$@"
interpreter --with-thread-sanitizer
[ -r "$prefix/tsan.supp" ] ||
    die "no $prefix/tsan.supp: put CPython's own Tools/tsan/suppressions_free_threading.txt, of the same source, there"
cat "$prefix/tsan.supp" "$root/ci/tsan.supp" >"$work/tsan.supp"
install
flaw flawed_race 'data race'
tests "$@"
