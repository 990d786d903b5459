#!/bin/sh
# torture.sh [ARGUMENT...]: python -m rcu torture with these arguments, on the newest free-threaded interpreter.

. "$(dirname "$0")/common.sh"

python=$(sh "$root/ci/build.sh")
PYTHONSAFEPATH=1 exec "$python" -m rcu torture "$@"
