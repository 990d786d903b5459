#!/bin/sh
# herd7.sh: prints the path of a herd7 that can run the litmus tests: PATH's, or else one that the distribution's newer
# suites have, unpacked into the cache beside the C library that it was built for.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/apt.sh"

oldest=7.57

# able HERD7: prints its version, if it is new enough and finds its models.
able() {
    # "7.58, Rev: exported"
    version=$("$1" -version 2>>"$log" | sed -n 's/^\([0-9][0-9.]*\).*/\1/p')
    [ -n "$version" ] || return 1
    [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] || return 1
    printf 'C try\n{ x=0; }\nP0(int *x) { atomic_store_explicit(x, 1, memory_order_release); }\nexists (x=1)\n' \
        >"$work/try.litmus"
    "$1" -model rc11.cat "$work/try.litmus" 2>>"$log" | grep -q '^Observation try Always' && printf '%s\n' "$version"
}

fetch() {
    rm -rf "$work/apt/cache/archives"
    mkdir -p "$work/apt/cache/archives/partial"
    # Of the packages that it depends on, too: none counts as installed.
    apt apt-get -y --download-only --no-install-recommends --target-release "$1" install herdtools7
}

unpack() {
    mkdir "$work/root"
    for package in "$work"/apt/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    # herd7 alone is a tenth of it.
    find "$work/root/usr/bin" -type f ! -name herd7 -delete
    rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale"
}

# wrap: the command that runs it with its own loader and libraries, wherever the folder is moved to.
wrap() {
    loader=$(cd "$work/root" && find usr/lib* -name 'ld-linux*.so.*' ! -type d | head -n 1)
    library=$(cd "$work/root" && find usr/lib -name libc.so.6 | head -n 1)
    models=$(cd "$work/root" && find usr/share -name rc11.cat | head -n 1)
    [ -n "$loader" ] && [ -n "$library" ] && [ -n "$models" ] || return 1
    cat >"$work/root/herd7" <<EOF
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
exec "\$here/$loader" --library-path "\$here/${library%/*}" "\$here/usr/bin/herd7" -set-libdir "\$here/${models%/*}" "\$@"
EOF
    chmod +x "$work/root/herd7"
}

log=$cache/log/herd7.log
lock herd7
: >"$log"
work=$(mktemp -d "$cache/herd7.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for herd7 in $(command -v herd7) "$cache"/herd7-*/herd7; do
    if [ -x "$herd7" ] && able "$herd7" >/dev/null; then
        printf '%s\n' "$herd7"
        exit
    fi
done
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null ||
        die "no herd7 $oldest or later was found, and there is no $tool to fetch the package herdtools7 with:" \
            "install herdtools7 and put herd7 on PATH"
done

say "no herd7 $oldest or later here: fetches the package herdtools7 (log: $log)"
sources deb "herdtools7 $oldest or later"
apt apt-get update >>"$log" 2>&1 || say "some lists could not be read: goes on with the others"
for suite in $suites; do
    # What testing and unstable list is not always there yet, or any more.
    fetch "$suite" >>"$log" 2>&1 || continue
    rm -rf "$work/root"
    if unpack >>"$log" 2>&1 && wrap && version=$(able "$work/root/herd7"); then
        rm -rf "$cache/herd7-$version"
        mv "$work/root" "$cache/herd7-$version"
        say "unpacked herd7 $version of $suite"
        printf '%s\n' "$cache/herd7-$version/herd7"
        exit
    fi
    say "the herdtools7 of $suite is of no use: see $log"
done
tail -n 25 "$log" >&2
die "no package herdtools7 with herd7 $oldest or later could be fetched: see $log, or install one and put herd7 on PATH"
