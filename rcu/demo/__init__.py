"""The demonstration: look-ups in a routing table that is reloaded while they run."""

import argparse
import importlib.util

from rcu._command import command, fail

__all__ = ["main"]


def main(argv: list[str], prog: str) -> int:
    """Run the demo with these arguments; the exit code."""
    from rcu.demo import arguments

    return command(prog, lambda: arguments.parse(argv, prog), lambda options: _run(prog, options))


def _run(prog: str, options: argparse.Namespace) -> int:
    needed = {"rich": "demo", "readerwriterlock": "demo"} | ({"matplotlib": "plot"} if options.plot else {})
    for package, extra in needed.items():
        if importlib.util.find_spec(package) is None:
            return fail(prog, f"the package {package!r} is not installed; pip install 'rcu[{extra}]'")

    from rcu.demo import run, table

    try:
        return run.run(options)
    except (table.TableError, OSError) as error:
        return fail(prog, str(error))
