# Sourced by scripts that fetch packages of other suites than the machine installs from.
# shellcheck shell=sh

# An apt of our own, in $work/apt: needs no root. It keeps the machine's proxies and checks signatures as usual.
apt() {
    command=$1
    shift
    # shellcheck disable=SC2154  # the script's
    "$command" -q -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" \
        -o Dir::Cache="$work/apt/cache" -o Dir::Etc::sourcelist="$work/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}

# sources KIND WANTED: writes the list of sources: those of the machine, and its mirrors' newer suites. KIND is deb
# or deb-src; WANTED is what to install otherwise, for who has no such mirror. Sets suites.
sources() {
    kind=$1
    wanted=$2
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    : >"$work/apt/status"
    # shellcheck disable=SC1091
    family=$(. /etc/os-release && printf '%s' " $ID ${ID_LIKE:-} ")
    case $family in
        *\ ubuntu\ *) family=ubuntu suites=devel components="main universe" ;;
        *\ debian\ *) family=debian suites="stable testing unstable" components=main ;;
        *) die "cannot tell which suites$family's mirrors have: install $wanted" ;;
    esac
    signed=
    for keyring in "/usr/share/keyrings/$family-archive-keyring".*; do
        if [ -r "$keyring" ]; then signed="[signed-by=$keyring]"; fi
    done
    # The mirrors are those of the machine. Its -updates and -security are not needed; a third party's
    # archive is of another origin, unless nothing is known of it yet: then its signature is wrong.
    apt-get indextargets --format "\$(ORIGIN) \$(COMPONENT) \$(RELEASE) \$(REPO_URI)" 'Created-By: Packages' |
        while read -r origin component suite uri; do
            case $origin,$component,$suite in
                *,main,*[-/]*) continue ;;
                [Dd]ebian,main,* | [Uu]buntu,main,* | \$*,main,*) ;;
                *) continue ;;
            esac
            for suite in "$suite" $suites; do
                printf '%s %s %s %s %s\n' "$kind" "$signed" "$uri" "$suite" "$components"
            done
        done | sort -u >"$work/apt/sources.list"
    [ -s "$work/apt/sources.list" ] || die "apt knows no mirror of $family here: see /etc/apt/sources.list"
}
