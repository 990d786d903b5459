"""What tests publish in cells: it tells whether it is whole, and where and when it died."""

import sys
import sysconfig
import threading

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
DEFERS = FREE_THREADED and sys.version_info >= (3, 14)
"""Can the interpreter leave the count of an object to the collector?"""

POISON = -0xDB
WORDS = 8


class Thing:
    """Something that a weak reference may refer to."""


class Page:
    """A resource that is overwritten when it is closed, and when it dies: who reads it may meet neither."""

    __slots__ = ("__weakref__", "number", "words")

    def __init__(self, number):
        self.number = number
        self.words = [number] * WORDS

    def close(self):
        for i in range(WORDS):
            self.words[i] = POISON

    __del__ = close

    def check(self):
        number = self.number
        for word in self.words:
            assert word == number, f"page {number} has a word {word}"
        return number


class Deaths:
    """Makes things that tell it of their death."""

    def __init__(self):
        self.log = []
        self.idents = []

    def make(self, name):
        return _Mortal(self, name)


class _Mortal:
    def __init__(self, deaths, name):
        self.deaths = deaths
        self.name = name

    def __del__(self):
        self.deaths.idents.append(threading.get_ident())
        self.deaths.log.append(self.name)


class Turns:
    """Counts how often something went on beside something else: a race that did not take place proves nothing."""

    def __init__(self):
        self.counts = {}
        self._lock = threading.Lock()

    def add(self, name, count):
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + count

    def __getitem__(self, name):
        return self.counts.get(name, 0)
