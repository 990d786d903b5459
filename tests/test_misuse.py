"""The misuse matrix: each wrong call is told by an error of its own, which says whose and how else; and afterwards the
same domain, cell and thread work."""

import asyncio
import re
import threading

import pytest

import rcu
from misuses import Scene
from misuses_reading import DOMAINS, GUARDS, SECTIONS, WAITING
from misuses_writing import CELLS, DEFERRED, REST
from threads import PATIENCE, eventually, together

MISUSES = [*DOMAINS, *SECTIONS, *GUARDS, *WAITING, *DEFERRED, *CELLS, *REST]


def works(domain):
    """All that a domain is for, on this thread and on another."""
    assert not domain.read_lock_held()
    cell = rcu.Cell([0], domain=domain)
    with domain, domain.read() as guard:
        assert cell.get(guard) is cell.value
        assert domain.run(domain.read_lock_held)
        assert domain.stats().sections_active == 1
    assert not domain.read_lock_held()
    domain.synchronize(PATIENCE)
    cookie = domain.start_poll()
    eventually(lambda: domain.poll(cookie))  # at once, unless another thread drives the domain
    ran = []
    domain.call(ran.append, domain)
    domain.barrier(PATIENCE)
    assert ran == [domain]
    cell.set([1])
    assert cell.update(lambda old: [*old, 2]) is cell.value
    with cell.replace([3]) as old:
        assert (old, cell.value) == ([1, 2], [3])
    asyncio.run(domain.synchronize_async())
    assert together(lambda: domain.run(cell.get)) == [[3]]
    domain.barrier(PATIENCE)
    # What a thread left behind when it ended is counted until then.
    eventually(lambda: domain.stats().pending == 0)
    assert domain.stats().sections_active == 0


def pattern(words, **values):
    """What a message says, in this order."""
    parts = [part.format(**values) for part in words.split(" ... ")]
    return re.compile(".*".join(map(re.escape, parts)), re.S)


def test_there_are_many_and_each_has_a_name():
    names = [name for name, *_ in MISUSES]
    assert len(names) == len(set(names)) > 200


@pytest.mark.parametrize(("misuse", "error", "words"), [row[1:] for row in MISUSES], ids=[row[0] for row in MISUSES])
def test_misuse_is_told_and_does_no_harm(domain, monkeypatch, misuse, error, words):
    scene = Scene(monkeypatch, domain)
    thread = f"thread {threading.current_thread().name!r} (ident {threading.get_ident()}"
    with pytest.raises(error) as caught:
        misuse(scene)
    assert caught.type is error
    assert pattern(words, domain=repr(domain.name), other=repr(scene.other.name), thread=thread).search(
        str(caught.value)
    )
    assert scene.cell.value is scene.first, "what fails changes nothing"
    del caught
    for each in domain, scene.other, rcu.default_domain:
        works(each)
