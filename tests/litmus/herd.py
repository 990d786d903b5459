"""Runs litmus tests through herd7, and tells what it has seen."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .machines import MACHINES
from .models import MODELS, STRONG_ONLY, c11, instances

CATS = {
    "c11": "rc11.cat",
    "riscv": "riscv.cat",
    "riscv-gcc12": "riscv.cat",
    "x86": "x86tso-mixed.cat",
}  # for the rest aarch64.cat

# What herd7 may say of a test beside its outcome. It takes all processors to share one inner shareable domain.
KNOWN = {"Assuming-common-inner-shareable-domain"}


class HerdFailed(Exception):
    """herd7 did not answer as it should."""


@dataclass
class Answer:
    """What herd7 said of one file."""

    observation: str = ""
    flags: set = field(default_factory=set)
    states: list = field(default_factory=list)

    @property
    def race(self):
        return "*undef*" in self.flags


@dataclass
class Result:
    """A variant on a model, at all places of its heavy barrier together."""

    variant: object
    model: str
    seen: str
    complaints: list

    @property
    def expected(self):
        return "Sometimes" if self.model in self.variant.sometimes else "Never"

    @property
    def good(self):
        return self.seen.split()[0] == self.expected and not self.complaints


def translate(instance, model):
    return c11(instance) if model == "c11" else MACHINES[model].translate(instance)


def command(herd, model, files):
    return [*herd, "-model", CATS.get(model, "aarch64.cat"), *map(str, files)]


def ask(herd, model, files):
    """name: Answer"""
    done = subprocess.run(command(herd, model, files), capture_output=True, text=True, check=False)
    if done.stderr.strip() or done.returncode != 0:
        raise HerdFailed(f"herd7 on {model} (exit code {done.returncode}): {done.stderr.strip()[:2000]}")
    answers = {}
    for text in re.split(r"^(?=Test )", done.stdout, flags=re.M)[1:]:
        name = text.split()[1]
        answer = answers[name] = Answer()
        found = re.search(rf"^Observation {re.escape(name)} (\w+) ", text, re.M)
        answer.observation = found[1] if found else "nothing"
        answer.flags = set(re.findall(r"^Flag (\S+)", text, re.M))
        answer.states = [
            dict(re.findall(r"(?:\[?)([\w:]+)\]?=([^;]*);", line))
            for line in text.split("\nWitnesses")[0].splitlines()
            if line.endswith(";")
        ]
    missing = {path.stem for path in files} - answers.keys()
    if missing:
        raise HerdFailed(f"herd7 on {model} says nothing of {', '.join(sorted(missing))}")
    return answers


def wanted(instance):
    """What a state must hold for the test to say anything: its `reach`, and that the heavy barriers took place."""
    reach = {} if instance.variant.name else dict(one.split("=") for one in instance.variant.test.reach.split(" /\\ "))
    done = {f"{thread}:{name}": str(value) for (thread, name), value in instance.done.items()}
    return reach, done


def names_in(text, instance):
    """How the registers of `reach` are called in a translation."""
    shown = re.search(r"^locations \[(.*)\]$", text, re.M)[1].split(";")
    reach, done = wanted(instance)
    places = [key for key in reach if ":" in key] + list(done) + [key for key in reach if ":" not in key]
    return dict(zip(places, (one.strip() for one in shown), strict=False))


def judge(variant, model, made, answers):
    """The one row for all places."""
    complaints = []
    outcomes = set()
    reached = False
    for one, names in made:
        if one.name not in answers:
            continue
        answer = answers[one.name]
        outcomes.add("race" if answer.race and answer.observation == "Never" else answer.observation)
        strange = answer.flags - KNOWN - ({"*undef*"} if model == "c11" else set())
        if strange:
            complaints.append(f"{one.name}: herd7 flags {', '.join(sorted(strange))}")
        if answer.observation not in ("Never", "Sometimes", "Always"):
            complaints.append(f"{one.name}: herd7 observes {answer.observation}")
        reach, done = ({names[key]: value for key, value in part.items()} for part in wanted(one))
        if not any(done.items() <= state.items() for state in answer.states):
            complaints.append(f"{one.name}: the heavy barrier never takes place")
        reached |= any((reach | done).items() <= state.items() for state in answer.states)
    if not reached:
        complaints.append(f"{variant}: nothing reaches ({variant.test.reach}), so the test proves nothing")
    seen = "Sometimes (race)" if "race" in outcomes else "Never"
    if outcomes & {"Sometimes", "Always"}:
        seen = "Sometimes"
    return Result(variant, model, seen, complaints)


def try_out(variant, model, herd, folder):
    """A variant on a model. Where the outcome is expected, the first place that shows it is enough."""
    made = []
    files = []
    for one in instances(variant):
        text = translate(one, model)
        path = Path(folder) / model / f"{one.name}.litmus"
        path.write_text(text, encoding="utf-8")
        files.append(path)
        made.append((one, names_in(text, one)))
    if model not in variant.sometimes:
        return judge(variant, model, made, ask(herd, model, files))
    answers = {}
    for path in files:
        answers |= ask(herd, model, [path])
        result = judge(variant, model, made, answers)
        if result.seen != "Never":
            break
    return result


def run(variants, herd, folder, jobs=2, models=(*MODELS, *STRONG_ONLY)):
    """Yields a Result for each variant and model."""
    for model in models:
        (Path(folder) / model).mkdir(parents=True, exist_ok=True)
    work = [(variant, model) for variant in variants for model in models if not (variant.name and model in STRONG_ONLY)]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda one: try_out(*one, herd, folder), work)
