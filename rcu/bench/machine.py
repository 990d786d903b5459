"""Where a measurement was made: all that its figures depend on."""

import os
import platform
import sys
import sysconfig
from pathlib import Path

import rcu
from rcu.bench.measure import free_threaded, processors

DECISIVE = ("cpu", "cores_usable", "governor", "system", "python", "optimized", "free_threaded", "gil", "flavor")
"""The facts that must be alike for figures of two runs to be compared; another rcu is what one compares."""

_GOVERNORS = Path("/sys/devices/system/cpu")


def machine() -> dict[str, object]:
    """The facts, as plain values; None where the system does not tell."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": len(processors()),
        "governor": _governor(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "optimized": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "free_threaded": free_threaded(),
        "gil": sys._is_gil_enabled(),
        "rcu": rcu.__version__,
        "flavor": rcu.flavor,
    }


def interpreter_and_machine(facts: dict[str, object]) -> tuple[str, str]:
    """The facts in a sentence each."""
    build = "free-threaded" if facts["free_threaded"] else "default build"
    profile = "with PGO" if facts["optimized"] else "without PGO"
    gil = "on" if facts["gil"] else "off"
    governor = f", governor {facts['governor']}" if facts["governor"] else ""
    return (
        f"rcu {facts['rcu']}, flavor {facts['flavor']}; CPython {facts['python']} ({build}, {profile}), GIL {gil}",
        f"{facts['cpu']}, {facts['cores']} cores, {facts['cores_usable']} of them usable{governor}; {facts['system']}",
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _governor() -> str | None:
    """How the processors' clocks are governed: one that follows the load changes the figures as it goes."""
    found = set()
    for number in processors():
        try:
            found.add((_GOVERNORS / f"cpu{number}" / "cpufreq" / "scaling_governor").read_text().strip())
        except OSError:
            return None
    return ", ".join(sorted(found))
