"""What a round of torture can be about. A module each, with

- ``TITLE``, in a few words;
- ``expected``, a function of the setting: the counts that must not stay 0, or the mode has proved nothing;
- ``build``, a function of the setting: the round's scene.
"""

from types import ModuleType

from rcu.torture.modes import cells, churn, deferred, domains, fork, lists, native, python

MODES: dict[str, ModuleType] = {
    "native": native,
    "domains": domains,
    "python": python,
    "churn": churn,
    "fork": fork,
    "deferred": deferred,
    "cells": cells,
    "lists": lists,
}
