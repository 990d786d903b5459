"""Readers in C, and updaters in C that wait in every way there is."""

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import WAYS, Updater
from rcu.torture.scene import Scene, Setting

TITLE = "readers and updaters in C, one domain"

HOLDS = (0, 8, 64, 512)  # turns


def expected(setting: Setting) -> set[str]:
    names = {"sections", "nested", "overlapped", "overtaken", "quiesced", "detached", "rested"}
    names |= {"periods", "freed", "heavy_barriers", "barriers_skipped", "slept"}
    if rcu.flavor != "fence":
        names |= {"parked", "unparked"}
    if setting.updaters > 1:
        names |= {"shared"}
    if len(ways(setting)) == len(WAYS):
        names |= {"timeouts", "resumed"}
    return names


def ways(setting: Setting) -> tuple[str, ...]:
    """As many as there are updaters; the first is one that cannot be left by a time-out."""
    return tuple(WAYS[i % len(WAYS)] for i in range(setting.updaters))


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("native")))
    hold = chance.choice(HOLDS)
    for _ in range(setting.readers):
        scene.add_reader(Reader(field, chance.getrandbits(64), hold=hold))
    for way in ways(setting):
        scene.add_updater(Updater(field, chance.getrandbits(64), way))
    return scene
