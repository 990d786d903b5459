#!/bin/sh
# build.sh [PYTHON [EXTRAS]]: builds the checkout and installs it, with its extras (test), into a virtual
# environment for that interpreter (python.sh's); prints the path of the environment's python. RCU_CFLAGS and
# RCU_LDFLAGS are further flags of the compiler; what is linked otherwise has an environment of its own.

. "$(dirname "$0")/common.sh"

if [ $# -eq 0 ]; then
    python=$(sh "$root/ci/python.sh")
else
    python=$(command -v "$1") || die "$1: there is no such program"
fi
extras=${2:-test}
found=$(probe "$python" 2>&1) || die "$python is of no use: $(reason "$found")"
version=${found#* }
python=${version#* }
sh "$root/ci/packages.sh" cc:gcc cc:libc6-dev

# Each checkout and each interpreter has its own.
env=$cache/env-${version%% *}-$(printf '%s\n' "$root" "$python" ${RCU_LDFLAGS:+"$RCU_LDFLAGS"} | cksum | cut -d ' ' -f 1)
log=$cache/log/${env##*/}.log
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONSAFEPATH=1
lock "${env##*/}"
: >"$log"

# What the package is built from. The checkout may hold the leftovers of a build by hand, and may be an
# unpacked archive, so Git cannot tell.
sources() {
    for name in pyproject.toml setup.py MANIFEST.in README.md LICENSE include rcu; do
        [ ! -e "$name" ] || find "$name" -type f ! -path '*/__pycache__/*' ! -name '*.so' ! -name '*.html' \
            \( ! -name '*.c' -o -path '*/native/*' \)
    done | sort
}

# From a copy: the build writes nothing to the checkout, and several at once do not meet. The build
# requirements are kept in the environment, which saves their installation at each build.
build() {
    rm -rf "$env/source" "$env/wheel" "$env/extras"
    mkdir -p "$env/source" "$env/extras"
    tar -c -f - -T "$env/sources" | tar -x -f - -C "$env/source"
    "$env/bin/python" -c 'import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")' >"$env/requires"
    quietly "$log" "$env/bin/python" -m pip install -r "$env/requires"
    quietly "$log" "$env/bin/python" -m pip wheel --no-deps --no-build-isolation -w "$env/wheel" "$env/source"
    quietly "$log" "$env/bin/python" -m pip install --no-deps --force-reinstall "$env"/wheel/*.whl
    rm -rf "$env/source"
}

cd "$root"
if ! [ -e "$env/made" ] || ! "$env/bin/python" -c 'import pip' 2>>"$log"; then
    say "makes an environment of $python"
    rm -rf "$env"
    quietly "$log" "$python" -m venv "$env"
    : >"$env/made"
fi
sources >"$env/sources"
stamp=$({ tr '\n' '\0' <"$env/sources" | xargs -0 cksum; printf '%s\n' "${RCU_CFLAGS:-}" "${RCU_LDFLAGS:-}"; } | cksum)
if [ "$stamp" != "$(cat "$env/stamp" 2>/dev/null)" ]; then
    say "builds rcu for ${version%% *}"
    rm -f "$env/stamp"
    build
    printf '%s\n' "$stamp" >"$env/stamp"
fi
if ! [ -e "$env/extras/$extras" ]; then
    say "installs what rcu[$extras] needs"
    wheel=$(ls "$env"/wheel/*.whl)
    quietly "$log" "$env/bin/python" -m pip install "${wheel}[$extras]"
    : >"$env/extras/$extras"
fi
printf '%s\n' "$env/bin/python"
