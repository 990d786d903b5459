# Sourced by the scripts next to it.
# shellcheck shell=sh disable=SC2034  # the scripts use what is set here

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${RCU_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set: set it, or RCU_CACHE, to say where to keep files}/.cache}/rcu-ci}
mkdir -p "$cache/log"
cache=$(cd "$cache" && pwd)

# What is tested is what is installed.
unset PYTHONPATH PYTHONHOME

# Newest first: this is the order in which an interpreter is looked for.
versions="3.15 3.14 3.13"

say() { printf 'ci/%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$@"
    exit 1
}

# quietly LOG COMMAND...: runs it with its output in LOG, whose end is shown if it fails.
quietly() {
    quietly_log=$1
    shift
    "$@" >>"$quietly_log" 2>&1 && return
    say "failed: $*"
    tail -n 70 "$quietly_log" >&2
    say "the whole log: $quietly_log"
    return 1
}

# One script at a time works on NAME, until it ends. Where there is no flock (it is Linux's),
# two at once are a smaller evil than the lock that a killed script leaves behind.
lock() {
    command -v flock >/dev/null || return 0
    exec 9>"$cache/$1.lock"
    flock -n 9 && return
    say "waits for another script, which is at work on $1"
    flock 9
}

# probe PYTHON: prints "3.14t 3.14.7t /path/of/its/executable"; fails, saying why, where the tests cannot
# run on it. What is imported is what distributions' builds tend to lack and pip and the tests need.
probe() {
    PYTHONWARNINGS=ignore "$1" -I -c '
import platform, sys, sysconfig
if sys.implementation.name != "cpython" or sys.version_info < (3, 13):
    sys.exit(f"it is {sys.implementation.name} {platform.python_version()}, not CPython 3.13 or later")
import ctypes, ensurepip, ssl, venv, zlib
t = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print("%d.%d" % sys.version_info[:2] + t, platform.python_version() + t, sys.executable)'
}

# reason OUTPUT: the line of a failed probe's output that tells most.
reason() {
    case $1 in
        Traceback*) printf '%s\n' "$1" | tail -n 1 ;;
        *) printf '%s\n' "$1" | head -n 1 ;;
    esac
}

# candidates NAME [KIND]: every executable of that name on PATH and in the cache; with a kind (-tsan, -asan),
# only those that were built so there.
candidates() {
    [ -n "${2:-}" ] || (
        set -f
        IFS=:
        for dir in $PATH; do
            # not [ -x ] && printf: its status would become this function's
            if [ -f "$dir/$1" ] && [ -x "$dir/$1" ]; then printf '%s\n' "$dir/$1"; fi
        done
    )
    for candidate in "$cache"/python-*t"${2:-}"/bin/"$1" "$cache"/uv/*"${2:-}"/bin/"$1"; do
        if [ -x "$candidate" ]; then printf '%s\n' "$candidate"; fi
    done
}

# usable NAME [KIND]: probes the candidates and prints what probe says of the first good one.
usable() {
    candidates "$@" | while IFS= read -r candidate; do
        if found=$(probe "$candidate" 2>&1 </dev/null); then
            case $found in
                *[0-9][ab][0-9]*\ /*) say "$candidate passed over: an alpha or beta" ;;
                "${1#python} "*) printf '%s\n' "$found" && break ;;
                *) ;; # python3.14 may be a free-threaded one, which is then found as python3.14t
            esac
        else
            say "$candidate passed over: $(reason "$found")"
        fi
    done | grep .
}
