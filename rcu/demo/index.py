"""A routing table as one array of words that look-ups walk: a trie with a level for each octet of an address.

The words, unsigned and 32 bits wide, are

* a header: at ``NUMBER`` and ``SEAL`` what identifies the version, and at 4 and 16 (the length of an address
  in octets) where the trie of that family starts;
* the records, the first for addresses without a route and one for each route: the answer, and the answer
  mixed with the seal of the version, so that a record shows which version it belongs to;
* the nodes, 256 words each: where a record is, or ``CHILD`` plus where the node of the next level is.
"""

import zlib
from array import array

from rcu.demo.table import Network, Table

NUMBER = 1
SEAL = 2
HEADER_WORDS = 32
RECORD_WORDS = 2
NODE_WORDS = 256
CHILD = 0x80000000
# Without it a record of zeros under a seal of zeros, that is memory wiped or reused, would pass.
SALT = 0x5AFEC0DE
UNREACHABLE = 0


def build(table: Table, number: int) -> array:
    """The words for *table* as version *number*."""
    seal = zlib.crc32(table.text.encode(), number)
    words = array("I", bytes(4 * HEADER_WORDS))
    words[NUMBER] = number
    words[SEAL] = seal
    for answer in range(len(table.routes) + 1):
        words.extend((answer, answer ^ seal ^ SALT))
    for octets in (4, 16):
        words[octets] = _new_node(words, HEADER_WORDS)
    # Longer prefixes overwrite shorter ones, then lower metrics higher ones, then earlier routes later ones.
    order = sorted(
        range(len(table.routes)),
        key=lambda i: (table.routes[i].prefix.prefixlen, -table.routes[i].metric, -i),
    )
    for i in order:
        _insert(words, table.routes[i].prefix, HEADER_WORDS + RECORD_WORDS * (i + 1))
    return words


def _new_node(words: array, record: int) -> int:
    base = len(words)
    words.extend(array("I", [record]) * NODE_WORDS)
    return base


def _insert(words: array, prefix: Network, record: int) -> None:
    octets = prefix.network_address.packed
    levels = max(prefix.prefixlen - 1, 0) // 8
    base = words[len(octets)]
    for octet in octets[:levels]:
        entry = words[base + octet]
        if entry < CHILD:
            entry = CHILD + _new_node(words, entry)
            words[base + octet] = entry
        base = entry - CHILD
    # All that is inserted later is as long or longer, so no entry of this range leads to a child yet.
    span = 1 << (8 * (levels + 1) - prefix.prefixlen)
    first = base + octets[levels]
    words[first : first + span] = array("I", [record]) * span
