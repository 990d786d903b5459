"""The demonstration: look-ups in a routing table that is reloaded while they run."""

import importlib.util
import sys

__all__ = ["main"]

_FAILED = 2
_INTERRUPTED = 130


def main(argv: list[str], prog: str) -> int:
    """Run the demo with these arguments; the exit code."""
    from rcu.demo import arguments

    try:
        options = arguments.parse(argv, prog)
    except arguments.UsageError as error:
        return _fail(prog, str(error))
    except SystemExit as stop:  # --help
        return int(stop.code or 0)

    needed = {"rich": "demo", "readerwriterlock": "demo"} | ({"matplotlib": "plot"} if options.plot else {})
    for package, extra in needed.items():
        if importlib.util.find_spec(package) is None:
            return _fail(prog, f"the package {package!r} is not installed; pip install 'rcu[{extra}]'")

    from rcu.demo import run, table

    try:
        return run.run(options)
    except (table.TableError, OSError) as error:
        return _fail(prog, str(error))
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _fail(prog: str, message: str) -> int:
    print(f"{prog}: error: {message}", file=sys.stderr)
    return _FAILED
