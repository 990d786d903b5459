"""Forks while readers and updaters are at work: the child goes on alone, and so does the parent."""

import os
import random
import signal
import sys
import threading
import traceback
import warnings

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import WAYS, Updater
from rcu.torture.scene import Scene, Setting

TITLE = "forks beside readers and updaters, in a section and out of one"

CHILD_SECONDS = 30  # after that a child is taken for hung
SECTIONS = 500  # of a child
FORKS = 2  # at least, in each round: one of each kind


def expected(_: Setting) -> set[str]:
    return {"forks", "forks_in_section", "sections", "periods"} if hasattr(os, "fork") else set()


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("fork")))
    for _ in range(setting.readers):
        scene.add_reader(Reader(field, chance.getrandbits(64)))
    for _ in range(setting.updaters):
        scene.add_updater(Updater(field, chance.getrandbits(64), chance.choice(WAYS)))
    if hasattr(os, "fork"):
        forker = Forker(scene, field, chance.getrandbits(64))
        scene.counted.append(forker.counts)
        scene.add_worker("forker", forker.run, lambda: forker.forks)
    return scene


class Forker:
    """Forks, in a section and out of one, and has the child check."""

    def __init__(self, scene: Scene, field: Field, seed: int) -> None:
        self.scene = scene
        self.field = field
        self.chance = random.Random(seed)
        self.forks = self.in_section = 0

    def run(self) -> None:
        while not self.scene.stopped.is_set() or self.forks < FORKS:
            inside = self.forks % 2 == 1
            if inside:
                self.field.domain.read_lock()
            with warnings.catch_warnings():
                # Of threads beside a fork: they are what this is about.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if pid == 0:
                self.child(inside)
            if inside:
                self.field.domain.read_unlock()
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            if code != 0:
                why = "hung" if code == -signal.SIGALRM else f"ended with {code}"
                raise AssertionError(f"the child of fork {self.forks} {why}")
            self.forks += 1
            self.in_section += inside

    def child(self, inside: bool) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHILD_SECONDS)
        try:
            self.check(inside)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def check(self, inside: bool) -> None:
        """All others' slots are gone; one's own section is still open; readers and updaters can begin anew."""
        domain = self.field.domain
        threads, active = self.field.attached()
        if threads > 1 or active != inside:
            raise AssertionError(
                f"{threads} thread(s) attached and {active} in a section, in the child of a thread "
                f"that was in {int(inside)}"
            )
        if inside:
            domain.read_unlock()
        domain.synchronize()
        field = Field(domain)
        reader = Reader(field, self.chance.getrandbits(64), limit=SECTIONS)
        updater = Updater(field, self.chance.getrandbits(64), "wait")
        beside = threading.Thread(target=updater.run)
        beside.start()
        reader.run()
        field.stop()
        beside.join()
        if field.violations or reader.progress != SECTIONS:
            raise AssertionError(field.first)

    def counts(self) -> dict[str, int]:
        return {"forks": self.forks, "forks_in_section": self.in_section}
