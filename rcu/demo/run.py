"""One run of the demo: every contender in turn, then the report."""

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rcu.demo import figures
from rcu.demo.contenders import all_contenders
from rcu.demo.screen import Screen
from rcu.demo.table import TableError
from rcu.demo.trial import Outcome, Settings, Trial
from rcu.demo.watch import Source

CLEAN = 0
VIOLATED = 1
TERMINATED = 143


def run(options: argparse.Namespace) -> int:
    """Run the demo; the exit code. :exc:`TableError` if there is no valid table to begin with."""
    settings = Settings(options.readers, options.rate, options.seconds, options.grace_period)
    errors: list[str] = []
    with _exit_on_sigterm(), tempfile.TemporaryDirectory(prefix="rcu-demo-") as directory:
        source = Source(options.file, Path(directory))
        table = source.table
        heading = figures.heading(table, settings)
        screen = Screen(heading, settings.seconds, json=options.json)
        with screen:
            outcomes = _run_all(source, settings, Path(directory), screen, errors)
    if options.json:
        print(json.dumps(figures.as_json(table, str(options.file), settings, outcomes, errors), indent=2))
    screen.result(outcomes)
    if options.plot:
        # Imported only now, so that it cannot bear upon the figures.
        from rcu.demo import plot

        plot.save(options.plot, heading, outcomes)
    return VIOLATED if any(outcome.violations for outcome in outcomes) else CLEAN


def _run_all(source: Source, settings: Settings, directory: Path, screen: Screen, errors: list[str]) -> list[Outcome]:
    def on_error(error: TableError) -> None:
        errors.append(str(error))

    outcomes: list[Outcome] = []
    reported = 0

    def on_tick(trial: Trial) -> None:
        nonlocal reported
        # Only this thread writes to the screen.
        for message in errors[reported:]:
            screen.problem(message)
            reported += 1
        screen.progress([*outcomes, trial.outcome()])

    contenders = all_contenders(settings.grace_period)
    for contender in contenders:
        trial = Trial(contender, source, settings, directory, on_error)
        outcome = trial.run(settings.seconds / len(contenders), on_tick)
        on_tick(trial)
        outcomes.append(outcome)
        screen.finished(outcome)
    return outcomes


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let a termination request run the cleanup, like Ctrl-C does."""

    def leave(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        sys.exit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
