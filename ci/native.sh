#!/bin/sh
# native.sh [TARGET...]: builds the headers' own test (tests/native) and runs it, with every compiler and on every
# machine of the list below, or on those given. Machines that are not this one are emulated.

. "$(dirname "$0")/common.sh"

all="gcc g++ clang clang++ sanitizers portable aarch64 riscv64 windows windows-c++"
# shellcheck disable=SC2086  # a list
[ $# -ne 0 ] || set -- $all
for target in "$@"; do
    case " $all " in
        *" $target "*) ;;
        *) die "$target: there is no such target; there are $all" ;;
    esac
done

log=$cache/log/native.log
: >"$log"
work=$(mktemp -d "$cache/native.XXXXXX")
wine=
finish() {
    # Its server would write to the folder after its end.
    if [ -n "$wine" ]; then "$wine" wineboot --kill >/dev/null 2>&1 || :; fi
    for _ in 1 2 3 4 5 6 7 8 9; do
        rm -rf "$work" 2>/dev/null && return
        sleep 1
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

c11="-std=c11 -D_GNU_SOURCE" # as Python.h does, without which strict C11 has no clock and no system call
cxx17="-x c++ -std=c++17"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all"
here=$(uname -m)
# Races are rarer, and everything is slower, where instructions are translated.
emulated_rounds=20000

packages() { sh "$root/ci/packages.sh" "$@"; }

# build NAME COMPILER [OPTION...]
build() {
    name=$1
    shift
    printf '\n== %s\n' "$*" >>"$log"
    # shellcheck disable=SC2086  # lists
    quietly "$log" "$@" -O2 -g -Wall -Wextra -Werror -pedantic -I"$root/include" "$root"/tests/native/*.c \
        -o "$work/$name"
}

failed=0
row() { printf '%-20s %-42s %-28s %6s  %s\n' "$@"; }

# result MACHINE COMPILER FLAVORS CHECKS: the row of a run whose output is in $work/output.
result() {
    flavor=$(sed -n 's/^flavor: //p' "$work/output" | tr -d '\r')
    checks=$(sed -n 's/^checks: //p' "$work/output" | tr -d '\r')
    case "|$3|" in
        *"|$flavor|"*) verdict=$4 ;;
        *) verdict="FAILED: not $3" ;;
    esac
    [ "$status" = 0 ] || verdict="FAILED: exit code $status"
    row "$1" "$2" "${flavor:--}" "${checks:--}" "$verdict"
    if [ "$verdict" != passed ]; then
        failed=1
        cat "$work/output" >&2
    fi
}

# run MACHINE COMPILER FLAVORS [COMMAND...]: FLAVORS are those that it may take, with | between.
run() {
    machine=$1
    compiler=$2
    flavors=$3
    shift 3
    say "runs it on $machine, built by $compiler"
    status=0
    "$@" >"$work/output" 2>&1 </dev/null || status=$?
    { printf '\n== %s, %s\n' "$machine" "$compiler" && cat "$work/output"; } >>"$log"
    result "$machine" "$compiler" "$flavors" passed
}

# On this machine, Linux has to grant the barrier. A user-mode emulator need not.
heavy=fence
if [ "$(uname -s)" = Linux ]; then heavy=membarrier; fi

version() { printf '%s %s' "$1" "$("$1" -dumpversion)"; }

# native COMPILER PACKAGE FLAVOR WHAT OPTIONS: WHAT is what the table says of the options.
native() {
    packages "$1:$2" cc:gcc cc:libc6-dev
    # shellcheck disable=SC2086  # a list
    build native "$1" $5 -pthread || { failed=1 && return; }
    run "$here" "$(version "$1"), $4" "$3" "$work/native"
    if [ "$3" != fence ]; then RCU_FLAVOR=fence run "$here" "$(version "$1"), $4" fence "$work/native"; fi
}

# cross MACHINE TRIPLET LIBC
cross() {
    packages "$2-gcc:gcc-$2" "$2-gcc:$3" "qemu-$1:qemu-user"
    # shellcheck disable=SC2086  # a list
    build "$1" "$2-gcc" $c11 -static -pthread || { failed=1 && return; }
    export RCU_ROUNDS=$emulated_rounds
    run "$1 (qemu-user)" "$(version "$2-gcc"), C11" "membarrier|fence" "qemu-$1" "$work/$1"
    RCU_FLAVOR=fence run "$1 (qemu-user)" "$(version "$2-gcc"), C11" fence "qemu-$1" "$work/$1"
    unset RCU_ROUNDS
}

# Wine's barrier is a stub, and the headers take fences there: so the program is run as it is, and once more with a
# stand-in behind Wine's. Of the latter, Wine's trace of calls must have as many as the program counted.
windows() {
    packages "$1:$2" wine:wine wine:wine64
    export WINEPREFIX="$work/wine" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
    wine=$(command -v wine64 || command -v wine)
    if [ ! -d "$WINEPREFIX" ]; then
        say "makes a folder for Wine"
        quietly "$log" "$wine" wineboot --init
        quietly "$log" "$wine" reg add 'HKCU\Software\Wine\Debug' /f /v RelayInclude /d NtFlushProcessWriteBuffers
    fi
    on="x86_64 ($("$wine" --version | cut -d ' ' -f 1))"
    by=$(version "$1" | sed 's/x86_64-w64-//')
    # shellcheck disable=SC2086  # a list
    if ! build as-is.exe "$1" $3 -static || ! build stand-in.exe "$1" $3 -static -DRCU_TEST_STAND_IN; then
        failed=1
        return
    fi
    run "$on" "$by" fence "$wine" "$work/as-is.exe"
    run "$on" "$by, stand-in" flush-process-write-buffers "$wine" "$work/stand-in.exe"
    say "traces its calls of FlushProcessWriteBuffers"
    status=0
    WINEDEBUG=-all,+relay RCU_ROUNDS=1000 "$wine" "$work/stand-in.exe" >"$work/output" 2>"$work/trace" || status=$?
    counted=$(sed -n 's/^barriers: \([0-9]*\) heavy.*/\1/p' "$work/output")
    traced=$(grep -c 'Call ntdll.NtFlushProcessWriteBuffers' "$work/trace" || :)
    printf '%s heavy barriers were counted, and Wine traced %s\n' "$counted" "$traced" | tee -a "$work/output" >>"$log"
    verdict="FAILED: $traced calls traced, $counted counted"
    if [ "$traced" = "$counted" ] && [ "$traced" -gt 1000 ]; then verdict=passed; fi
    result "$on" "$by, stand-in, traced" flush-process-write-buffers "$verdict"
}

row machine compiler flavor checks result
for target in "$@"; do
    case $target in
        gcc | clang) native "$target" "$target" "$heavy" C11 "$c11" ;;
        g++) native g++ g++ "$heavy" C++17 "$cxx17" ;;
        clang++) native clang++ clang "$heavy" C++17 "$cxx17" ;;
        sanitizers) native gcc gcc "$heavy" "address and UB sanitizer" "$c11 $sanitizers" ;;
        portable) native gcc gcc fence "no heavy barrier" "$c11 -DRCU_NO_HEAVY_BARRIER" ;;
        aarch64) cross aarch64 aarch64-linux-gnu libc6-dev-arm64-cross ;;
        riscv64) cross riscv64 riscv64-linux-gnu libc6-dev-riscv64-cross ;;
        windows) windows x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64 "-std=c11" ;;
        windows-c++) windows x86_64-w64-mingw32-g++ g++-mingw-w64-x86-64 "$cxx17" ;;
    esac
done
[ "$failed" = 0 ] || die "the headers do not do what they promise on all of these; the output: $log"
