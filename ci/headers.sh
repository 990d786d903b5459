#!/bin/sh
# Compiles each public header alone and twice, with every compiler here, as C11 and as C++17.

. "$(dirname "$0")/common.sh"

sh "$root/ci/packages.sh" cc:gcc cc:libc6-dev g++:g++ x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64

cd "$root/include"
failed=0
# check [OPTION...]: the header, with the compiler and its options.
check() {
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$compiler" -x "$language" -std="$standard" "$@" -Wall -Wextra -Werror -pedantic -fsyntax-only -I. - || {
        say "$header is no good for $compiler -std=$standard $*"
        failed=1
    }
}

used=
for compiler in gcc g++ clang clang++ x86_64-w64-mingw32-gcc x86_64-w64-mingw32-g++; do
    command -v "$compiler" >/dev/null || continue
    used="$used $compiler"
    # _GNU_SOURCE as Python.h does, without which strict C11 has no clock and no system call.
    case $compiler in
        *++) language=c++ standard=c++17 system= ;;
        *mingw*) language=c standard=c11 system= ;;
        *) language=c standard=c11 system=-D_GNU_SOURCE ;;
    esac
    for header in rcu/*.h; do
        # thread_posix.h is a part of thread.h, which picks the system's.
        [ ! -e "${header%_*}.h" ] || continue
        check $system
    done
    # The barrier of the systems that have no heavy one compiles anywhere.
    header=rcu/barrier.h
    check $system -DRCU_NO_HEAVY_BARRIER
done
[ "$failed" = 0 ] || exit 1
say "good for$used"
