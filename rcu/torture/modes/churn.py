"""Threads that come and go while leaders look: some end inside a section."""

import random
import threading

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import WAYS, Updater
from rcu.torture.scene import Scene, Setting

TITLE = "threads that end after a few sections, or inside one"

SECTIONS = 50
DYING = 0.25  # of the threads, so many end inside a section


def expected(_: Setting) -> set[str]:
    return {"threads", "sections", "periods", "freed", "abandoned"}


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("churn")))
    scene.add_reader(Reader(field, chance.getrandbits(64)))
    for i in range(max(1, setting.readers - 1)):
        parent = _Parent(scene, field, chance.getrandbits(64))
        scene.counted.append(parent.counts)
        scene.add_worker(f"parent {i}", parent.run, lambda parent=parent: parent.threads)
    for _ in range(setting.updaters):
        scene.add_updater(Updater(field, chance.getrandbits(64), chance.choice(WAYS)))
    return scene


class _Parent:
    """Starts one thread after the other."""

    def __init__(self, scene: Scene, field: Field, seed: int) -> None:
        self.scene = scene
        self.field = field
        self.chance = random.Random(seed)
        self.threads = self.sections = 0

    def run(self) -> None:
        while not self.scene.stopped.is_set():
            die = self.chance.random() < DYING
            child = Reader(self.field, self.chance.getrandbits(64), limit=SECTIONS, die=die)
            thread = threading.Thread(target=child.run)
            thread.start()
            thread.join()
            self.threads += 1
            self.sections += child.progress

    def counts(self) -> dict[str, int]:
        return {"threads": self.threads, "sections": self.sections}
