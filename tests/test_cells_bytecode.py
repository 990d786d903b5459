"""That `cell.value` is read by the interpreter's own instruction for a slot, and stays so while writers write."""

import dis
import sys
import threading

import pytest

import rcu
from payloads import FREE_THREADED
from threads import beside, eventually, together

# 3.13t has no specialisation, and none is needed with the GIL.
pytestmark = pytest.mark.skipif(
    FREE_THREADED and sys.version_info < (3, 14), reason="this interpreter does not specialise its bytecode"
)

WARM = 1000


def readers():
    """Functions of their own in each test: code is specialised where it runs."""

    def plain(cell):
        return cell.value

    def chained(cell):
        return cell.value.number

    def local(cell):
        value = cell.value
        return value, value

    return plain, chained, local


def loads(function):
    """How the function loads and stores the attribute by now."""
    instructions = dis.get_instructions(function, adaptive=True)
    return [it.opname for it in instructions if "_ATTR" in it.opname and it.argval == "value"]


class Numbered:
    number = 1


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("which", range(3))
def test_a_read_is_that_of_a_slot(deferred, which):
    function = readers()[which]
    cell = rcu.Cell(Numbered(), deferred=deferred)
    for _ in range(WARM):
        function(cell)
    assert loads(function) == ["LOAD_ATTR_SLOT"]


def test_of_any_payload():
    function = readers()[0]
    values = [None, 1, "text", [], Numbered(), Numbered]
    cells = [rcu.Cell(value) for value in values]
    for _ in range(WARM):
        for cell, value in zip(cells, values, strict=True):
            assert function(cell) is value
    assert loads(function) == ["LOAD_ATTR_SLOT"]


@pytest.mark.parametrize("deferred", [True, False])
def test_it_stays_so_while_writers_write(domain, deferred):
    function = readers()[1]
    cell = rcu.Cell(Numbered(), domain=domain, deferred=deferred)
    for _ in range(WARM):
        function(cell)
    stop = threading.Event()
    reads, writes, found = [0, 0], [0], [set(), set()]

    def read(k):
        while not stop.is_set():
            for _ in range(100):
                assert function(cell) == 1
            reads[k] += 100
            found[k].update(loads(function))

    def write():
        while not stop.is_set():
            cell.set(Numbered())
            cell.update(lambda _: Numbered())
            cell.swap(Numbered())
            writes[0] += 3

    with beside(lambda: together(lambda: read(0), lambda: read(1), write)):
        eventually(lambda: min(reads) > 5000 and writes[0] > 1000)
        stop.set()
    assert found == [{"LOAD_ATTR_SLOT"}] * 2
    assert loads(function) == ["LOAD_ATTR_SLOT"]
    domain.barrier()


def test_assigning_is_not_specialised_into_a_store():
    def assign(cell):
        try:
            cell.value = 2
        except AttributeError:
            return
        raise AssertionError("the value was assigned")

    cell = rcu.Cell(1)
    for _ in range(WARM):
        assign(cell)
    assert cell.value == 1
    assert "STORE_ATTR_SLOT" not in loads(assign)
