#!/bin/sh
# Prints the path of a free-threaded CPython: $RCU_PYTHON, the newest that is installed, or one that uv
# downloads or that is built from the distribution's source package.
# With --all, prints the path of every installed interpreter to test on, with or without the GIL, that one
# first.

. "$(dirname "$0")/common.sh"

given() {
    path=$(command -v "$RCU_PYTHON") || die "RCU_PYTHON=$RCU_PYTHON: there is no such program"
    found=$(probe "$path" 2>&1) ||
        die "RCU_PYTHON=$RCU_PYTHON is of no use: $(reason "$found")." \
            "Unset it, or name a CPython 3.13 or later, best a free-threaded one"
    case ${found%% *} in
        *t) ;;
        *) say "RCU_PYTHON=$RCU_PYTHON is not free-threaded: readers and writers take turns there" ;;
    esac
    printf '%s\n' "$found"
}

installed() {
    for version in $versions; do
        usable "python${version}t" && return
    done
    return 1
}

downloaded() {
    command -v uv >/dev/null || return 1
    # Both time-outs are of silence, so a slow download goes on, and an unreachable server is soon given up.
    export UV_HTTP_CONNECT_TIMEOUT=5 UV_HTTP_TIMEOUT=10 UV_HTTP_RETRIES=0
    export UV_PYTHON_INSTALL_DIR="$cache/uv" UV_PYTHON_INSTALL_BIN=0
    limit=
    if command -v timeout >/dev/null; then limit="timeout 900"; fi
    for version in $versions; do
        say "uv python install ${version}t"
        # shellcheck disable=SC2086  # two words, or none
        if $limit uv python install "${version}t" >"$cache/log/uv.log" 2>&1; then
            usable "python${version}t" && return
        else
            say "uv did not: $(tail -n 1 "$cache/log/uv.log")"
        fi
    done
    return 1
}

if [ -n "${RCU_PYTHON:-}" ]; then
    first=$(given)
else
    first=$(installed || downloaded || sh "$root/ci/build-python.sh")
fi
path() { printf '%s\n' "${1#* * }"; }

path "$first"
[ "${1:-}" = --all ] || exit 0
for version in $versions; do
    for kind in "${version}t" "$version"; do
        [ "$kind" != "${first%% *}" ] || continue
        if found=$(usable "python$kind"); then path "$found"; fi
    done
done
