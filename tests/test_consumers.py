"""Extensions of someone else, as tests/consumer/ has them, where rcu is a package like others: in C."""

import json
import re
import sys
from pathlib import Path

import pytest

from consumers import SOURCES, noticed
from rcu.bench.measure import processors

STRICT = "-std=c11 -Wall -Wextra -Werror -pedantic"

# What is freed is overwritten, and so is what has not been written yet.
DEV = ("-X", "dev")


@pytest.fixture(params=["plain", "debug"])
def identity(consumers, request):
    """Runs code that can import identity and rivals, once more where they are built with rcu's checks."""
    if request.param == "debug":
        folder = consumers.install("identity", variant="debug", CPPFLAGS=f"{STRICT} -DRCU_DEBUG")
    else:
        folder = consumers.install("identity")

    def run(code, **how):
        return consumers.run(code, folder, options=DEV, **how)

    checks = run("import identity, pathlib; print(b'slot belongs to' in pathlib.Path(identity.__file__).read_bytes())")
    assert checks.strip() == str(request.param == "debug")
    return run


# ---- how it is built -------------------------------------------------------------------------------------------------


def test_headers_come_from_the_package(consumers, tmp_path):
    # GCC and Clang write there what they include.
    seen = tmp_path / "seen"
    consumers.install("identity", variant="strict", CPPFLAGS=STRICT, DEPENDENCIES_OUTPUT=str(seen))
    included = {Path(path) for path in re.findall(r"\S+/rcu/\w+\.h", seen.read_text())}
    assert {path.name for path in included} >= {"api.h", "read.h", "pointer.h"}
    assert all(path.is_relative_to(consumers.env) for path in included)


def test_it_is_built_by_meson(consumers):
    consumers.require("meson", "ninja")
    project = consumers.copy("identity", "meson")
    for command in (["setup", "build", "-Dwerror=true", "-Dwarning_level=3"], ["compile", "-C", "build"]):
        done = consumers.command(consumers.bin / "meson", *command, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
    where = consumers.run("import identity; print(identity.__file__)", project / "build")
    assert Path(where.strip()).is_relative_to(project / "build")


# ---- what it does ----------------------------------------------------------------------------------------------------

ALONE = """
import gc, sys, weakref
import identity, rcu

class Thing:
    def __eq__(self, other):
        return True
    __hash__ = None

def gone(ref):
    rcu.barrier()
    gc.collect()
    return ref() is None

map, things = identity.IdentityMap(), [Thing() for _ in range(1000)]
assert len(map) == 0 and map.get(things[0]) is None and map.get(things[0], 7) == 7
assert identity.tables_alive() == 0

for number, thing in enumerate(things):
    map.set(thing, number)
assert len(map) == 1000
assert [map.get(thing) for thing in things] == list(range(1000))
assert map.get(Thing(), "none") == "none", "an equal one is another"

key, old, new = things[0], Thing(), Thing()
ref = weakref.ref(old)
map.set(key, old)
map.set(key, new)
assert map.get(key) is new and len(map) == 1000
del old
assert gone(ref)

ref = weakref.ref(new)
del new
assert not gone(ref), "the map holds it"
assert identity.tables_alive() == 1
del map
assert gone(ref)
assert identity.tables_alive() == 0

# A map that holds itself.
ring, thing = identity.IdentityMap(), Thing()
ring.set(ring, ring)
ring.set(thing, ring)
ref = weakref.ref(thing)
del ring, thing
assert gone(ref)
assert identity.tables_alive() == 0

for wrong in (map_of := identity.IdentityMap()).get, map_of.set:
    try:
        wrong()
    except TypeError as error:
        print(error)
"""


def test_alone(identity):
    assert identity(ALONE).splitlines() == [
        "get() takes a key and a default, not 0 arguments",
        "set() takes a key and a value, not 0 arguments",
    ]


# Readers look while the function adds, until each of them has met so many growths on the way.
BESIDE = """
import gc, sys, threading
import rcu

READERS, GROWTHS = 2, 20
sys.setswitchinterval(1e-6)
met = [0] * READERS
errors = []

def beside(look, made, add):
    def work(reader):
        try:
            while min(met) < GROWTHS and not errors:
                before = made()
                look()
                met[reader] += made() > before
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(reader,)) for reader in range(READERS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        add()
    for thread in threads:
        thread.join()
    assert not errors
    # The interpreter leaves to its collector some of what several threads had.
    gc.collect()
    rcu.barrier()
"""

GROWING = (
    BESIDE
    + """
import identity

class Scene:
    both = identity.IdentityMap(), []

def look():
    map, known = Scene.both
    for key, value in known[-200:] + known[:200]:
        assert map.get(key) is value

def add():
    Scene.both = map, known = identity.IdentityMap(), []
    for _ in range(3000):
        key, value = object(), object()
        map.set(key, value)
        known.append((key, value))

beside(look, identity.tables_made, add)
assert len(Scene.both[0]) == 3000
print(identity.tables_alive())
"""
)

REPLACING = (
    BESIDE
    + """
import weakref
import identity

class Value:
    def __init__(self, key, number):
        self.key, self.number = key, number

map, keys, refs = identity.IdentityMap(), [object() for _ in range(50)], []
number = 0

def add():
    global number
    number += 1
    for key in keys:
        value = Value(key, number)
        refs.append(weakref.ref(value))
        map.set(key, value)

def look():
    for key in keys:
        last = 0
        for _ in range(50):
            value = map.get(key)
            assert value.key is key and value.number >= last
            last = value.number

add()
beside(look, lambda: number, add)
gc.collect()
assert number > GROWTHS
assert {map.get(key).number for key in keys} == {number}
print(sum(ref() is not None for ref in refs))
"""
)


def test_readers_find_all_while_it_grows(identity):
    # Of all that there have been, one map is left.
    assert identity(GROWING).split() == ["1"]


def test_readers_find_values_whole_while_they_are_replaced(identity):
    # The last value of each key is left.
    assert identity(REPLACING).split() == ["50"]


def test_growth_to_a_million_leaves_no_old_table(identity):
    million = """
import identity, rcu
keys, map = [object() for _ in range(10**6)], identity.IdentityMap()
for key in keys:
    map.set(key, key)
rcu.barrier()
print(len(map), identity.tables_made(), identity.tables_alive(), all(map.get(key) is key for key in keys))
"""
    count, made, alive, found = identity(million).split()
    assert (count, alive, found) == ("1000000", "1", "True")
    assert int(made) > 15


# ---- what it is measured against -------------------------------------------------------------------------------------

STORES = (
    BESIDE
    + """
import rivals

KEYS = tuple(object() for _ in range(20000))

class Scene:
    both = None, [0]

def look():
    store, added = Scene.both
    if added[0]:
        assert store.look_up(added[0], 2000) == 2000

def add():
    Scene.both = store, added = rivals.Store({way!r}, KEYS), [0]
    for more in range(10, 200):
        store.add(more)
        added[0] += more
        if added[0] > len(KEYS):
            break

beside(look, lambda: rivals.tables()[0], add)
alive = rivals.tables()[1]
Scene.both = None
gc.collect()
rcu.barrier()
print(alive, rivals.tables()[1])
"""
)

WAYS = re.findall(r'^    \{"(\w+)", look_up', (SOURCES / "identity" / "rivals.c").read_text(), re.M)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "nothing"])
def test_each_rival_finds_all_while_it_grows(identity, way):
    alive, left = map(int, identity(STORES.replace("{way!r}", repr(way))).split())
    # Who counts readers frees nothing until an updater comes when there is none.
    assert alive >= 1 if way == "count" else alive == 1
    assert left == 0


def test_a_table_freed_without_a_grace_period_is_noticed(consumers):
    """In loops in C: who looks up from Python is outside of sections most of the time."""

    def plant(project):
        text = (project / "rivals.c").read_text()
        flawed, planted = re.subn(
            r"rcu_call\(rcu_default_domain\(\), (&old->head), (free_old_table)\)", r"\2(\1)", text
        )
        assert planted == 1
        (project / "rivals.c").write_text(flawed)

    folder = consumers.install("identity", variant="flawed", edit=plant)
    assert noticed(lambda: consumers.run(STORES.replace("{way!r}", "'rcu'"), folder, options=DEV, check=False))


def test_it_is_measured(consumers):
    consumers.install("identity")
    command = (consumers.python, "-I", SOURCES / "measure.py", "--quick", "identity")
    done = consumers.command(*command, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {line["what"]: line for line in json.loads(done.stdout)["cases"]["identity"]}
    text = consumers.command(*command).stdout
    if sys._is_gil_enabled() or len(processors()) < 2:
        why = "GIL" if sys._is_gil_enabled() else "processor"
        assert why in found["identity"]["not_measured"]
        assert "not measured" in text
        return
    aims = {what: line["target"]["min"] for what, line in found.items() if line["target"]}
    assert aims["rcu: two threads / one"] == 1.9
    assert aims["rcu / PyMutex, on two threads"] == aims["rcu / count, on two threads"] == 5
    assert {line["verdict"] for line in found.values()} == {None, "not judged"}
    assert all(line["median"] > 0 for line in found.values())
    assert "not judged" in text


def test_what_cannot_be_measured(consumers):
    done = consumers.command(consumers.python, "-I", SOURCES / "measure.py", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
