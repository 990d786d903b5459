"""The engine's model (tests/model/, explored by ci/model.sh) follows the engine, and asks what it says it asks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests" / "model"
ENGINE = "".join((MODEL / f"{name}.pml").read_text() for name in ("engine", "slots", "reclaim", "deferred", "writers"))
MODULES = ("_grace.pyx", "_slots.pyx", "_queue.pyx", "_reclaim.pyx", "_deferred.pyx", "_writers.pyx")
SETTINGS = (MODEL / "settings.pml").read_text()

NOT_MODELLED = {
    # What Python asks for; it changes nothing.
    "grace_domain", "awaited", "take_abandoned", "survey", "depth",
    # Who runs next: in the model, whoever can. `visit` is there the lock alone.
    "visit", "give_way",
    # There is one domain, from the start to the end.
    "domain_new", "name_domain", "init_conditions", "domain_free",
    # Forks have tests of their own.
    "before_fork", "after_fork_in_parent", "after_fork_in_child", "keep_only",
    # Import.
    "begin", "use_python", "use_logs", "prepare",
    # The lock of who writes to a cell: there is one bench, and who asks for what it has is not a race.
    "bench_of", "writes",
    # The list of a thread's domains, and how the room for slots grows; `leave_behind` is `delist`.
    "visit_mine", "each_domain", "grow", "leave_behind",
    # Forks of deferred work: the torture and tests/test_fork.py have them.
    "keep_reclaimer", "start_again", "start_reclaimers",
    # Deferred work: memory, the backlog, the window, who is told of the program's end, and what is a head and no log.
    "deferred_domain", "outbox_of", "room_for", "room_at", "wait_for_room", "is_loaded", "linger",
    "enqueue", "push_log", "push_awaited", "reverse", "enqueued", "is_reclaimer", "note_peak", "look",
    "has_room", "limit_backlog", "revoke", "warns_first", "pending", "oldest", "is_log", "push_callback", "remind",
    # There, a thread can always be started, and a callback begins no section and does not fork.
    "has_thread", "end_sections",
    # One expression there, and a process.
    "is_queued", "needs_thread", "hold", "leave_log", "reclaim",
}  # fmt: skip


def functions(name):
    """The functions of one of the engine's modules."""
    text = (ROOT / "rcu" / name).read_text()
    return re.findall(r"^cdef [\w *]*?\*?(\w+)\([^\n]*\)[^\n]*:$", text, re.M)


def inlines(text):
    return re.findall(r"^inline (\w+)\(", text, re.M)


def runs(kind):
    """The rows of runs.txt of that kind, without it."""
    lines = (MODEL / "runs.txt").read_text().splitlines()
    return [tuple(line.split()[1:]) for line in lines if line.split()[:1] == [kind]]


def defined(text, after, before=None):
    """The names that settings.pml defines as numbers, between two of its lines."""
    text = text[text.index(after) :]
    return re.findall(
        r"^#define (\w+) \d+ /\*|^#define (WITHOUT_\w+) \d+$", text[: before and text.index(before)], re.M
    )


def mutants():
    return {one or other for one, other in defined(SETTINGS, "#define MUTANT 0", "#define PROBE 0")}


def test_each_function_of_the_engine_is_modelled_or_said_not_to_be():
    found = [one for name in MODULES for one in functions(name)]
    assert {"enter_slow", "complete", "hand_on", "attach", "pool_give"} < set(found)
    assert len(found) > 40
    assert set(found) - set(inlines(ENGINE)) == NOT_MODELLED


def test_the_read_side_is_modelled():
    text = (ROOT / "include" / "rcu" / "read.h").read_text()
    assert set(re.findall(r"^static inline \w+ (rcu_\w+)\(", text, re.M)) - set(inlines(ENGINE)) == {"rcu_held"}


def test_the_model_has_no_function_of_another_name():
    """But for those that are parts of the engine's functions, or the properties."""
    names = set(inlines(ENGINE))
    names -= {one for name in MODULES for one in functions(name)} | {"rcu_enter", "rcu_exit"}
    # `defer` and a log's `append` are those of _calls.pyx.
    assert names == {"heavy_barrier", "lead", "park", "no_flag_is_left", "defer", "take_left"} | {
        # Parts of wait_to_write, a writer of a cell, and a lock after a fork.
        "count_waiting", "begin_to_write", "write", "left_by_fork",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["enter_slow", "rejoin", "enter_parked", "exit_slow", "needed", "count", "wait_to_write", "stop_writing"],
)
def test_each_function_has_the_full_fences_of_the_engine(name):
    """In the same order, as [X] in a comment there and full_barrier(X) here."""
    source = "".join((ROOT / "rcu" / module).read_text() for module in ("_grace.pyx", "_writers.pyx"))
    body = re.search(rf"^cdef \w+ {name}\(.*?(?=^cdef |\Z)", source, re.M | re.S)[0]
    fences = []
    for before in body.split("rcu_full_barrier()")[:-1]:
        fences += re.findall(r"# \[(\w)\]", before)[-1:]
    after = re.findall(r"rcu_full_barrier\(\)  # \[(\w)\]", body)
    fences[: len(after)] = after
    model = re.search(rf"^inline {name}\(.*?^\}}", ENGINE, re.M | re.S)[0]
    assert fences
    assert list(dict.fromkeys(re.findall(r"full_barrier\((\w)\)", model))) == fences


def test_labels_are_those_of_the_table():
    table = (ROOT / "include" / "rcu" / "barrier.h").read_text()
    labels = set(re.findall(r"^ \*   \[(\w)\]    ", table, re.M))
    assert set(re.findall(r"\[([A-Z])\]", ENGINE)) == labels - set("FHIJKLMPQSTVWX")
    fences = set(re.findall(r"full_barrier\((\w)\)", ENGINE))
    assert fences == {"C", "E", "F", "J", "K", "L", "P", "Q", "X"}
    assert fences <= labels
    assert {f"WITHOUT_{label}" for label in fences} == {name for name in mutants() if name.startswith("WITHOUT_")}


def test_each_mutant_is_planted_and_run():
    assert len(mutants()) > 20
    assert {fault for _, fault, *_ in runs("mutant")} == mutants()
    for name in mutants():
        assert name.startswith("WITHOUT_") or re.search(rf"MUTANT [!=]= {name}\b", ENGINE), name


def test_each_situation_is_asked_for():
    situations = {one for one, _ in defined(SETTINGS, "#define PROBE 0")}
    assert len(situations) >= 10
    assert {situation for _, situation in runs("probe")} == situations
    assert set(re.findall(r"REACHED(?:_IF)?\((\w+)", ENGINE)) == situations


def test_runs_use_what_there_is():
    models = [name for name, *_ in runs("model")]
    assert len(models) == len(set(models)) > 10
    assert {name for kind in ("probe", "mutant") for name, *_ in runs(kind)} <= set(models)
    settings = set(re.findall(r"^#ifndef (\w+)$", SETTINGS, re.M))
    assert {setting.split("=")[0] for _, *row in runs("model") for setting in row} <= settings
