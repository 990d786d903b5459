#!/bin/sh
# demo.sh [ARGUMENT...]: builds rcu and runs its demonstration.

. "$(dirname "$0")/common.sh"

extras=demo
for argument in "$@"; do
    case $argument in
        --plot | --plot=*) extras=demo,plot ;;
    esac
done
python=$(sh "$root/ci/python.sh")
python=$(sh "$root/ci/build.sh" "$python" "$extras")
exec "$python" -P -m rcu demo "$@"
