#!/bin/sh
# packages.sh WHAT:PACKAGE...: makes sure that each WHAT, a command or a C header, is there; installs the
# Debian packages of those that are not, or says how to.

. "$(dirname "$0")/common.sh"

present() {
    case $1 in
        *.h) printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing() {
    for pair in "$@"; do
        present "${pair%%:*}" || printf '%s\n' "$pair"
    done
}

absent=$(missing "$@")
[ -n "$absent" ] || exit 0
packages=$(printf '%s\n' "$absent" | sed 's/.*://' | sort -u | paste -s -d ' ' -)

command -v apt-get >/dev/null ||
    die "missing: $(printf '%s\n' "$absent" | sed 's/:.*//' | paste -s -d ' ' -)." \
        "Install what this system has in place of Debian's $packages"
[ "$(id -u)" = 0 ] || die "missing packages. To install them: sudo apt-get install $packages"

say "installs $packages"
log=$cache/log/packages.log
: >"$log"
lock packages
install() {
    # shellcheck disable=SC2086  # a list
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends $packages
}
install >>"$log" 2>&1 || {
    # The lists may be old, or not be there at all. A third party's that fails does no harm here.
    apt-get -q -o Acquire::http::Timeout=20 update >>"$log" 2>&1 || :
    quietly "$log" install || die "could not install them: apt-get install $packages"
}
absent=$(missing "$@")
[ -z "$absent" ] || die "installed $packages, and still miss $(printf '%s\n' "$absent" | sed 's/:.*//' | paste -s -d ' ' -)"
