"""Several domains, whose sections nest in each other's."""

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import WAYS, Updater
from rcu.torture.scene import Scene, Setting

TITLE = "sections of three domains, nested in each other"

DOMAINS = 3


def expected(_: Setting) -> set[str]:
    return {"sections", "crossed", "overlapped", "overtaken", "periods", "freed"}


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    fields = [scene.add_field(Field(rcu.Domain(f"domains-{i}"))) for i in range(DOMAINS)]
    for i in range(setting.readers):
        one, other = fields[i % DOMAINS], fields[(i + 1) % DOMAINS]
        scene.add_reader(Reader(one, chance.getrandbits(64), other=other, hold=32))
    # Each has one at least, for its readers rest until a period has completed there.
    for i in range(max(setting.updaters, DOMAINS)):
        scene.add_updater(Updater(fields[i % DOMAINS], chance.getrandbits(64), chance.choice(WAYS)))
    return scene
