"""reports.py FOLDER: sorts out what sanitizers wrote into the log files there; exits with 1 if any of it counts.

All counts but the leaks of others. A leak is the package's if a function of its modules is in the stack that
allocated, nearer than any Python code that it may have called: CPython leaves blocks of its own to the end of the
process, and a free-threaded one keeps pointers to others where LeakSanitizer does not look.
"""

import re
import sys
from collections import Counter
from pathlib import Path

OURS = re.compile(r"/rcu/(?:\w+/)*[\w.-]+\.so\b")
SHOWN = 5

# Where a report begins, or what a sanitizer says beside its reports.
BEGIN = re.compile(
    r"^(?=(?:WARNING|FATAL): |==\d+==(?:ERROR|WARNING|FATAL): |(?:Direct|Indirect) leak of "
    r"|SUMMARY: \w+: \d+ byte|(?:==\d+==)?ThreadSanitizer: |\S+:\d+:\d+: runtime error: )",
    re.M,
)
PYTHON_CODE = "_PyEval_EvalFrameDefault"
RULE = re.compile(r"^={8,}\n?", re.M)
LEAK = re.compile(r"(?:Direct|Indirect) leak of ")
# What is said beside them. In a fork child, ThreadSanitizer goes on to count the threads of the parent.
BESIDE = re.compile(
    r"==\d+==ERROR: LeakSanitizer: detected memory leaks$|SUMMARY: \w+: \d+ byte\(s\) leaked"
    r"|ThreadSanitizer: reported \d+ warnings$|==\d+==ThreadSanitizer: dup thread with used id 0x[0-9a-f]+$"
)
SUPPRESSED = re.compile(r"^ThreadSanitizer: Matched \d+ suppressions|^ *(\d+) (\w+:\S+)$", re.M)
# What the same error has in common wherever it is reported.
SUMMARY = re.compile(r"^SUMMARY: (.*)", re.M)
VARYING = re.compile(r"0x[0-9a-f]+|\(pid=\d+\)|==\d+==|\d+ (?=byte|object)")


def kind(report):
    first = next((line for line in report.splitlines() if OURS.search(line)), report.splitlines()[0])
    if LEAK.match(report):
        return VARYING.sub("", f"leak: {first.strip()}")
    summary = SUMMARY.search(report)
    return VARYING.sub("", summary[1] if summary else report.splitlines()[0])


def sort_out(text):
    """The reports of a log, and how many of what does not count."""
    reports, ignored = [], Counter()
    for part in BEGIN.split(text):
        part = RULE.sub("", part).strip()
        if not part or BESIDE.match(part):
            continue
        if SUPPRESSED.match(part):
            for number, name in SUPPRESSED.findall(part):
                if name:
                    ignored[f"suppressed by {name}"] += int(number)
        elif LEAK.match(part) and not OURS.search(part.split(PYTHON_CODE)[0]):
            ignored["leaks of others"] += 1
        else:
            reports.append(part)
    return reports, ignored


def main(folder):
    kinds, examples, ignored = Counter(), {}, Counter()
    for log in sorted(path for path in Path(folder).iterdir() if path.is_file()):
        reports, others = sort_out(log.read_text(errors="replace"))
        ignored += others
        for report in reports:
            kinds[kind(report)] += 1
            examples.setdefault(kind(report), f"{log.name}:\n{report}")
    for name in list(examples)[:SHOWN]:
        print(examples[name], end="\n\n", file=sys.stderr)
    for what, counts in ("ignored", ignored), ("report", kinds):
        for name, number in counts.most_common():
            print(f"{what:<8} {number:>6}  {name}")
    print(f"{'reports':<8} {sum(kinds.values()):>6}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
