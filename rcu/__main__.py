"""The command line: ``python -m rcu [demo | bench | torture] ...``; alone, it says what it runs on."""

import argparse
import importlib
import json
import os
import platform
import sys
import sysconfig

import rcu

COMMANDS = {
    "demo": "readers and an updater at work on a routing table, under rcu and under two kinds of lock",
    "bench": "the costs of sections, grace periods and cells, as ratios to their rivals",
    "torture": "readers and updaters of all kinds at once, looking for what must never happen",
}


def about():
    """What this process runs on, as plain values."""
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "version": rcu.__version__,
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil_enabled": enabled,
        "flavor": rcu.flavor,
        "cores": os.process_cpu_count() or 1,
    }


def main(argv=None):
    """Runs a command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m rcu",
        description="Read-copy-update for Python without the GIL.",
        epilog="\n".join(f"  {name:8} {words}" for name, words in COMMANDS.items()) + "\n\nEach has its own --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="without one: what this process runs on")
    if argv and argv[0] in COMMANDS:
        # The commands bring dependencies of their own, which the others should not need.
        return importlib.import_module(f"rcu.{argv[0]}").main(argv[1:], f"{parser.prog} {argv[0]}")
    options = parser.parse_args(argv)
    if options.command:
        parser.error(f"give {options.command!r} before its options")
    facts = about()
    if options.json:
        print(json.dumps(facts))
    else:
        gil = "enabled" if facts["gil_enabled"] else "disabled"
        build = "free-threaded" if facts["free_threaded"] else "with the GIL"
        print(f"rcu          {facts['version']}")
        print(f"interpreter  {facts['interpreter']}, built {build}")
        print(f"GIL          {gil}")
        print(f"flavor       {facts['flavor']}")
        print(f"cores        {facts['cores']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
