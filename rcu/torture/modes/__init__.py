"""What a round of torture can be about. A module each, with

- ``TITLE``, in a few words;
- ``expected``, a function of the setting: the counts that must not stay 0, or the mode has proved nothing;
- ``build``, a function of the setting: the round's scene.
"""

from rcu.torture.modes import churn, deferred, domains, fork, lists, native, python

MODES = {
    "native": native,
    "domains": domains,
    "python": python,
    "churn": churn,
    "fork": fork,
    "deferred": deferred,
    "lists": lists,
}
