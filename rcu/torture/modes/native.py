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
    if setting.updaters >= len(WAYS):
        names |= {"timeouts", "resumed"}
    return names


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("native")))
    hold = chance.choice(HOLDS)
    # A crowd shares, and its leaders sleep. Two threads that have a processor each meet most closely: where more want
    # to run, a section that lost its processor keeps all grace periods waiting.
    all_of_them = setting.readers, setting.updaters
    readers, updaters = chance.choice((all_of_them, all_of_them, (1, 1), (1, setting.updaters)))
    for _ in range(readers):
        scene.add_reader(Reader(field, chance.getrandbits(64), hold=hold))
    first = chance.randrange(len(WAYS))
    for i in range(updaters):
        scene.add_updater(Updater(field, chance.getrandbits(64), WAYS[(first + i) % len(WAYS)]))
    return scene
