"""What a torture came to, as text and as JSON."""

import platform

import rcu
from rcu.torture.run import Options, Result


def heading(options: Options) -> str:
    return (
        f"rcu {rcu.__version__}, flavor {rcu.flavor}, CPython {platform.python_version()}; "
        f"{options.readers} reader(s), {options.updaters} updater(s); --seed {options.seed} replays this"
    )


def text(result: Result) -> str:
    """The result for people; the last line says whether all is well."""
    rows = []
    for name, counts in result.counts.items():
        rows.append(f"{name}: " + ", ".join(f"{count} {number:,}" for count, number in sorted(counts.items())))
    rows.append("pipe ages: " + ", ".join(f"{age}: {number:,}" for age, number in enumerate(result.ages)))
    rows += [f"violation: {what}" for what in result.violations]
    rows += [
        f"{name}: never happened, so nothing is proved: {', '.join(what)}" for name, what in result.missing.items()
    ]
    rows.append(
        f"{'all is well' if result.good else 'FAILED'}: {result.sections:,} sections, "
        f"{result.periods:,} grace periods, {len(result.violations)} violation(s), "
        f"{result.rounds} rounds, {result.seconds:.1f} s"
    )
    return "\n".join(rows)


def as_json(options: Options, result: Result) -> dict[str, object]:
    return {
        "good": result.good,
        "seed": options.seed,
        "readers": options.readers,
        "updaters": options.updaters,
        "flavor": rcu.flavor,
        "python": platform.python_version(),
        "seconds": round(result.seconds, 3),
        "rounds": result.rounds,
        "sections": result.sections,
        "periods": result.periods,
        "modes": {name: dict(sorted(counts.items())) for name, counts in result.counts.items()},
        "ages": result.ages,
        "violations": result.violations,
        "missing": result.missing,
    }
