#!/bin/sh
# build-python.sh [tsan|asan]: builds a free-threaded CPython, ordinary or with that sanitizer, from the
# distribution's source package into the cache, and prints what probe says of it. Of the package only the
# original tarball is taken: the distribution's patches take ensurepip and the usual layout away, which virtual
# environments need.

# shellcheck disable=SC2329  # phase is what calls some of the functions

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/apt.sh"

kind=${1:+-$1}
options="--disable-gil --disable-test-modules"
# Sanitized, CPython's own leaks and races are no reason not to build it. It is several times slower: what there is to
# install is installed by an ordinary one.
case ${1:-} in
    '') ;;
    asan) options="$options --without-ensurepip --with-address-sanitizer" ASAN_OPTIONS=detect_leaks=0 ;;
    tsan) options="$options --without-ensurepip --with-thread-sanitizer" TSAN_OPTIONS=report_bugs=0 ;;
    *) die "$1: not a sanitizer that CPython is built with here: asan or tsan" ;;
esac
export ASAN_OPTIONS TSAN_OPTIONS

command -v apt-get >/dev/null ||
    die "no free-threaded CPython 3.13 or later was found, and there is no apt-get to fetch its source with:" \
        "install one (as with 'uv python install 3.14t') and put it on PATH, or name it in RCU_PYTHON"
sh "$root/ci/packages.sh" cc:gcc cc:libc6-dev make:make xz:xz-utils \
    zlib.h:zlib1g-dev openssl/ssl.h:libssl-dev ffi.h:libffi-dev

lock "python$kind"
for version in $versions; do
    if usable "python${version}t" "$kind" 2>/dev/null; then exit; fi # built while this one waited
done

log=$cache/log/build-python$kind.log
: >"$log"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
began=$(date +%s)
say "no free-threaded CPython${1:+ with $1} here: builds one (some minutes; log: $log)"

# phase WHAT COMMAND...
phase() {
    what=$1
    shift
    start=$(date +%s)
    printf '  %s ... ' "$what" >&2
    if "$@" >>"$log" 2>&1; then
        printf '%d s\n' $(($(date +%s) - start)) >&2
    else
        printf 'failed after %d s\n' $(($(date +%s) - start)) >&2
        return 1
    fi
}

# "3.13.15 python3.13=3.13.15-1" lines, the newest Python first, each version once. Alphas and betas are out.
packages() {
    for series in $versions; do
        apt apt-cache showsrc --only-source "python$series" 2>>"$log" || :
    done | sed -n 's/^Package: //p; s/^Version: //p' | paste -d ' ' - - |
        sed -n 's/^\(.*\) \(\(.*\)-[^-]*\)$/\3 \1=\2/p' | grep -v '^[^ ]*~[ab]' |
        sort -k1,1Vr -k2,2 | awk '!seen[$1]++'
}

download() { (cd "$work/$version" && apt apt-get source --download-only --tar-only "$1"); }

unpack() { mkdir src && xz -dc ./*.orig.tar.xz | tar -x -f - -C src --strip-components=1; }

# shellcheck disable=SC2086  # a list
configure() { ./configure $options --prefix="$prefix"; }

# What CPython knows of its own races, which is no part of an installation.
keep() {
    case $kind in
        -tsan) cp Tools/tsan/suppressions_free_threading.txt "$work/$version/root$prefix/tsan.supp" ;;
        *) ;;
    esac
}

# Installed aside and renamed, so that what is in the cache is always complete.
build() (
    cd "$work/$version"
    phase "unpacks" unpack && cd src &&
        phase "configures" configure &&
        phase "compiles" make -j"$(getconf _NPROCESSORS_ONLN)" &&
        phase "installs" make install DESTDIR="$work/$version/root" &&
        phase "keeps the suppressions" keep &&
        phase "tries it out" probe "$work/$version/root$prefix/bin/$name" &&
        rm -rf "$prefix" && mv "$work/$version/root$prefix" "$prefix"
)

sources deb-src "a free-threaded CPython 3.13 or later"
phase "reads the mirror's lists of source packages" apt apt-get update ||
    say "some lists could not be read: goes on with the others"
packages >"$work/packages"
[ -s "$work/packages" ] || {
    tail -n 25 "$log" >&2
    die "the mirror lists no source package of CPython 3.13 or later: install one, or see $log"
}
while read -r version package; do
    name=${package%%=*}t
    prefix=$cache/python-$(printf '%s' "$version" | tr -d '~')t$kind
    mkdir "$work/$version"
    phase "downloads the source of $version" download "$package" </dev/null || {
        # What testing and unstable list is not always there yet, or any more.
        grep '^E: ' "$log" | grep -v 'some archives' | tail -n 1 | sed 's/^E:/   /' >&2
        continue
    }
    if build </dev/null; then
        say "built $prefix in $(($(date +%s) - began)) s"
        probe "$prefix/bin/$name"
        exit
    fi
    tail -n 25 "$log" >&2
    say "CPython $version could not be built: see $log"
    rm -rf "${work:?}/$version"
done <"$work/packages"
die "no source package of CPython could be downloaded and built: see $log," \
    "or install a free-threaded CPython 3.13 or later and name it in RCU_PYTHON"
