#!/bin/sh
# Compiles each public header alone and twice, with every compiler of the list below, as C11 and as C++17, for release
# and for debugging; and links two files that share one table of api.h.

. "$(dirname "$0")/common.sh"

sh "$root/ci/packages.sh" cc:gcc cc:libc6-dev g++:g++ clang:clang clang++:clang \
    x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 x86_64-w64-mingw32-g++:g++-mingw-w64-x86-64

python=$(sh "$root/ci/python.sh")
python_include=$("$python" -I -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -e "$python_include/Python.h" ] ||
    die "$python has no Python.h in $python_include, which api.h needs." \
        "Install what the distribution calls its dev package, or name another interpreter: RCU_PYTHON"

work=$(mktemp -d "$cache/headers.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cd "$root/include"
failed=0
warnings="-Wall -Wextra -Werror -pedantic"

# check [OPTION...]: the header, with the compiler and its options. A file with nothing in it is not ISO C.
check() {
    printf '#include <%s>\n#include <%s>\nextern int headers_nothing;\n' "$header" "$header" >"$work/alone"
    # shellcheck disable=SC2086  # a list
    "$compiler" -x "$language" -std="$standard" "$@" $warnings -fsyntax-only -I. "$work/alone" || {
        say "$header is no good for $compiler -std=$standard $*"
        failed=1
    }
}

printf '%s\n' '#define RCU_API_TABLE headers_table' '#include <rcu/api.h>' \
    'int headers_import(void);' 'int headers_import(void) { return rcu_import(); }' >"$work/begins"
printf '%s\n' '#define RCU_API_TABLE headers_table' '#define RCU_API_ELSEWHERE' '#include <rcu/api.h>' \
    'int headers_wait(void);' 'int headers_wait(void) { return rcu_synchronize(rcu_default_domain()); }' >"$work/follows"

# share [OPTION...]: two files of one extension, whose one table is defined in one of them.
share() {
    # shellcheck disable=SC2086  # a list
    if ! "$compiler" -x "$language" -std="$standard" "$@" $warnings -fPIC -shared -I. \
        "$work/begins" "$work/follows" -o "$work/shared" ||
        ! nm "$work/shared" | grep -q ' [BbDd] _*headers_table$'; then
        say "two files do not share a table of api.h with $compiler -std=$standard $*"
        failed=1
    fi
}

used=
for compiler in gcc g++ clang clang++ x86_64-w64-mingw32-gcc x86_64-w64-mingw32-g++; do
    used="$used $compiler"
    # _GNU_SOURCE as Python.h does, without which strict C11 has no clock and no system call.
    case $compiler in
        *++) language=c++ standard=c++17 system= ;;
        *mingw*) language=c standard=c11 system= ;;
        *) language=c standard=c11 system=-D_GNU_SOURCE ;;
    esac
    for debug in -URCU_DEBUG -DRCU_DEBUG; do
        for header in rcu/*.h; do
            # thread_posix.h is a part of thread.h, which picks the system's.
            [ ! -e "${header%_*}.h" ] || continue
            case $compiler,$header in
                *mingw*,rcu/api.h) ;;
                *,rcu/api.h)
                    # Without $system: Python.h sees to that by itself.
                    check "$debug" -isystem "$python_include"
                    share "$debug" -isystem "$python_include"
                    ;;
                *) check $system "$debug" ;;
            esac
        done
    done
    # The barrier of the systems that have no heavy one compiles anywhere.
    header=rcu/barrier.h
    check $system -DRCU_NO_HEAVY_BARRIER
done
[ "$failed" = 0 ] || exit 1
say "good for$used; api.h was left out for mingw, which has no Python.h here"
