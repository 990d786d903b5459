#!/bin/sh
# model.sh [--mutants] [NAME...]: explores every state of the engine's model (tests/model/, by Spin) in each of its
# configurations, or in these, and asks for the situations that must be reached there. With --mutants: plants the
# faults of the model, or these, each of which must be found. What is run is listed in tests/model/runs.txt.

. "$(dirname "$0")/common.sh"

list=mutants kinds='mutant'
if [ "${1:-}" = --mutants ]; then shift; else list=models kinds='model|probe'; fi
runs=$root/tests/model/runs.txt
for name in "$@"; do
    grep -Eq "^($kinds) .*\b$name( |$)" "$runs" ||
        die "$name names nothing to run; there are: $(awk -v kinds="^($kinds)\$" \
            '$1 ~ kinds { print $2; if ($1 != "model") print $3 }' "$runs" | sort -u | paste -s -d ' ' -)"
done
sh "$root/ci/packages.sh" spin:spin gcc:gcc

work=$cache/model
lock model
rm -rf "$work"
mkdir -p "$work"
log=$cache/log/model.log
: >"$log"
# One file, so that each line has a number of its own: Spin confuses the names of several.
whole() { for part in "$@"; do sed '/^#include/d' "$root/tests/model/$part.pml"; done; }
whole settings machine engine slots model >"$work/whole.pml"
whole settings reclaim deferred >"$work/deferred.pml"
whole settings machine writers >"$work/writers.pml"
awk -v kinds="^($kinds)\$" -v names=" $* " '
    $1 ~ kinds && (names ~ /^ *$/ || index(names, " " $2 " ") || index(names, " " $3 " "))' "$runs" >"$work/todo"
[ -s "$work/todo" ] || die "nothing in $runs is of this kind for $*"

# options MODEL
options() { awk -v name="$1" '$1 == "model" && $2 == name { for (i = 3; i <= NF; i++) print "-D" $i }' "$runs"; }

# verdict FILE: what pan's output comes to. A search that was cut off has shown nothing but what it found.
verdict() {
    if grep -q '^pan:.*assertion violated (object>=freed' "$1"; then
        echo 'read after free'
    elif grep -q '^pan:.*assertion violated (\((*\)\([0-9]*\)!=\2)' "$1"; then
        echo 'reached'
    elif grep -q '^pan:.*assertion violated' "$1"; then
        echo 'broken invariant'
    elif grep -q '^pan:.*invalid end state' "$1"; then
        echo 'lost wake-up'
    elif grep -q '^pan:.*acceptance cycle' "$1"; then
        echo 'starvation'
    elif grep -q 'depth too small\|out of memory\|MEMLIM bound\|hashtable full' "$1"; then
        echo 'truncated'
    elif grep -q 'errors: 0$' "$1"; then
        echo 'holds'
    else
        echo 'no result'
    fi
}

# explore KIND MODEL WHAT EXPECTED, in the folder of that run.
explore() {
    defines=$(options "$2" | paste -s -d ' ' -)
    compile=-DSAFETY search=
    case $defines in *LIVENESS=1*) compile=-DNFAIR=3 search='-a -f' ;; esac
    case $1,$4 in
        probe,*) defines="$defines -DPROBE=$3" search=-E ;;
        mutant,read\ after\ free | mutant,broken\ invariant) defines="$defines -DMUTANT=$3" search="$search -E" ;;
        mutant,lost\ wake-up) defines="$defines -DMUTANT=$3" search="$search -A" ;;
        mutant,*) defines="$defines -DMUTANT=$3" ;;
    esac
    source=whole
    case $defines in
        *DEFERRED=1*) source=deferred ;;
        *WRITERS=1*) source=writers ;;
    esac
    optimize=-O0
    if [ "$1" = model ]; then optimize=-O1; fi
    # shellcheck disable=SC2086  # lists
    spin -a $defines "../$source.pml" >said 2>&1 &&
        gcc $optimize -w $compile -DCOLLAPSE -DMEMLIM=6000 -o pan pan.c >>said 2>&1 || return
    # shellcheck disable=SC2086
    ./pan -m200000 -w20 $search >found 2>&1 || :
    if [ "$1,$source" = model,whole ]; then ./pan -d >states 2>/dev/null || :; fi
}

print_row() { printf '%-8s %-25s %-16s %-16s %9s %7s\n' "$@"; }

# Takes what no other worker has taken. Each run leaves its row.
worker() {
    number=0
    while read -r kind model what expected; do
        number=$((number + 1))
        mkdir "$work/$number" 2>/dev/null || continue
        cd "$work/$number"
        case $kind in
            model) asks='safe, no lost wake-up' expected=holds ;;
            probe) asks="situation $what" expected=reached ;;
            mutant) asks="fault $what" ;;
        esac
        case $kind,$(options "$model") in model,*LIVENESS=1*) asks='safe, no starvation' ;; esac
        : >found
        explore "$kind" "$model" "$what" "$expected"
        rm -f pan pan.*
        seen=$(verdict found)
        states=$(awk '/ states, stored/ { printf "%d", $1 }' found)
        seconds=$(awk '/^pan: elapsed time/ { print $4 }' found)
        print_row "$model" "$asks" "$expected" "$seen" "${states:--}" "${seconds:--}" >row
        # shellcheck disable=SC2086  # a list
        [ "$expected" = "$seen" ] || echo spin -t -p -g -k "$PWD/$source.pml.trail" $defines "$work/$source.pml" >differs
    done <"$work/todo"
}

# Lines of the model that no exploration has come to: what is asked there is not asked at all. Those that only a
# mutant can come to name it. Pan lists what it missed, state by state, and, with -d, what there is; a step that it has
# joined to another is on the first list only, where it was missed.
unreached() {
    for found in "$work"/*/states; do
        awk '
            FNR == 1 { file++ }
            file == 1 && /^unreached in/ { process = $NF }
            file == 1 && process != "served" && !/"-end-"/ && match($0, /:[0-9]+, state [0-9]+/) {
                split(substr($0, RSTART + 1, RLENGTH - 1), part, ", state ")
                missed[process, part[2]] = missed_line[part[1]] = 1
                print part[1], "missed"
            }
            file == 2 && /^(proctype|init|claim)/ { process = $NF }
            file == 2 && /^\tstate/ && !((process, $2) in missed) {
                line = $0
                sub(/.*\.pml:/, "", line)
                print line + 0, "reached"
            }
            END { for (line in missed_line) print line, FILENAME }' "${found%states}found" "$found"
    done | sort -u | awk '
        $2 == "missed" { missed[$1] = 1; next }
        $2 == "reached" { reached[$1] = 1; next }
        { times[$1]++; if (!files[$2]++) explorations++ }
        END { for (line in missed) if (!(line in reached) && times[line] == explorations) print line }' | sort -n |
        while read -r line; do
            sed -n "${line}p" "$work/whole.pml" | grep -v MUTANT || :
        done
}

jobs=$(getconf _NPROCESSORS_ONLN)
say "runs $(wc -l <"$work/todo") explorations (in $work)"
for _ in $(seq "$((jobs < 4 ? jobs : 4))"); do worker & done
wait

print_row model 'what it asks' expected seen states seconds
for number in $(seq "$(wc -l <"$work/todo")"); do cat "$work/$number/row"; done
differences=0
for differs in "$work"/*/differs; do
    [ -e "$differs" ] || continue
    differences=$((differences + 1))
    cat "${differs%differs}row" "${differs%differs}said" >&2
    if grep -q "^pan: wrote" "${differs%differs}found"; then say "its trace: $(cat "$differs")"; fi
done
if [ "$list" = models ] && [ $# -eq 0 ]; then
    unreached >"$work/unreached"
    if [ -s "$work/unreached" ]; then
        say 'no exploration comes to these lines:'
        cat "$work/unreached" >&2
        differences=$((differences + $(wc -l <"$work/unreached")))
    fi
fi
printf '%d explorations, %d differences\n' "$(wc -l <"$work/todo")" "$differences"
[ "$differences" = 0 ]
