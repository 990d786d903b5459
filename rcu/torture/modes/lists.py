"""Readers that traverse lists and an array in C; updaters that change them, and defer the end of what they removed."""

import rcu
from rcu.torture._field import Field
from rcu.torture._lists import ListReader, Lists, ListUpdater
from rcu.torture._readers import Reader
from rcu.torture._updaters import Updater
from rcu.torture.scene import Scene, Setting

TITLE = "lists and the resizable array, traversed while they change"


def expected(setting: Setting) -> set[str]:
    names = {"sections", "periods", "inserted", "removed", "reclaimed", "appended", "arrays_replaced"}
    names |= {"items_removed", "removed_under_reader", "grown_under_reader", "replaced_under_reader"}
    return names | ({"beaten"} if setting.updaters > 1 else set())


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("lists")))
    scene.add_reader(Reader(field, chance.getrandbits(64)))
    scene.add_updater(Updater(field, chance.getrandbits(64), "wait"))
    lists = Lists(field)
    scene.counted.append(lists.counts)
    for i in range(setting.readers):
        reader = ListReader(lists, chance.getrandbits(64))
        scene.counted.append(reader.counts)
        scene.add_worker(f"list reader {i}", reader.run, lambda reader=reader: reader.progress)
    for i in range(setting.updaters):
        updater = ListUpdater(lists, chance.getrandbits(64))
        scene.counted.append(updater.counts)
        scene.add_worker(f"list updater {i}", updater.run, lambda updater=updater: updater.progress)
    return scene
