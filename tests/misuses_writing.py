"""Deferred work, cells and all the rest used wrongly.

Each row: a name, what is done in a scene, the error, and what its message says, in this order, with ``...`` between.
"""

import functools

import misuses as by
import rcu
from misuses import BODILESS, ITSELF, NO_BODY, NO_COPIES, NO_LOOP, OF_ANOTHER, SECONDS

WRITERS = ["set", "swap", "compare_and_set", "update", "replace"]

# ---- deferred work ---------------------------------------------------------------------------------------------------

IN_CALLBACK = "{domain} ... in a callback of this domain ... by another call()"

DEFERRED = [
    ("call nothing", lambda s: s.domain.call(), TypeError, "call() missing ... 'func'"),
    ("call by name", lambda s: s.domain.call(func=list), TypeError, "call() missing ... positional argument: 'func'"),
    ("call what is no function", lambda s: s.domain.call(5), TypeError, "call() takes a callable ... not int 5"),
    *[
        (f"call {f.__name__} {i}", lambda s, f=f: s.domain.call(f), TypeError, f"call() ... {NO_BODY}")
        for i, f in enumerate(BODILESS)
    ],
    ("call with too few arguments", lambda s: s.callback(divmod, 1), TypeError, "divmod expected 2 arguments"),
    ("retire nothing", lambda s: s.domain.retire(), TypeError, "retire() takes exactly one argument (0 given)"),
    ("retire two", lambda s: s.domain.retire(1, 2), TypeError, "retire() takes exactly one argument (2 given)"),
    (
        "barrier in a callback",
        lambda s: s.callback(s.domain.barrier),
        rcu.DeadlockError,
        f"barrier() {IN_CALLBACK[13:]}",
    ),
    ("barrier_async in a callback", lambda s: s.callback(s.domain.barrier_async), rcu.DeadlockError, IN_CALLBACK),
    (
        "lock in a callback",
        lambda s: s.callback(s.domain.read_lock),
        rcu.SectionError,
        "{domain} ... 1 nested ... in the callback",
    ),
    (
        "unlock in a callback",
        lambda s: s.callback(s.domain.read_unlock),
        rcu.SectionError,
        "{domain} ... by the thread that began",
    ),
    (
        "barrier beside a reader",
        lambda s: s.held(lambda: s.domain.call(list) or s.domain.barrier(0)),
        TimeoutError,
        "{domain} ... 0 s: 1 callback(s) pending ... waits for",
    ),
    (
        "past the limit",
        lambda s: s.logged(lambda: by.passes_the_limit(s)),
        by.Logged,
        "{domain}: call() ... backlog_limit of 1 ... outside of sections",
    ),
]

# ---- cells -----------------------------------------------------------------------------------------------------------

CELLS = [
    ("cell of nothing", lambda _: rcu.Cell(), TypeError, "1 positional argument (0 given)"),
    ("cell of two", lambda s: rcu.Cell(1, s.domain), TypeError, "1 positional argument (2 given)"),
    (
        "cell of no domain",
        lambda _: rcu.Cell(1, domain="x"),
        TypeError,
        "domain must be an rcu.Domain or None, not str 'x'",
    ),
    (
        "cell with a guard",
        lambda s: s.guarded(lambda g: rcu.Cell(1, domain=g)),
        TypeError,
        "an rcu.Domain or None, not Guard ... {domain}",
    ),
    ("no such argument of a cell", lambda _: rcu.Cell(1, color=1), TypeError, "unexpected keyword argument 'color'"),
    *[
        (f"assign {name}", lambda s, name=name: setattr(s.cell, name, 1), AttributeError, words)
        for name, words in [("value", "cell.set(new)"), ("domain", "'domain'"), ("get", "'get'"), ("color", "'color'")]
    ],
    ("delete value", lambda s: delattr(s.cell, "value"), AttributeError, "'value' ... cell.set(None)"),
    ("call value", lambda s: s.cell.value(), TypeError, "'list' object is not callable"),
    ("get with 5", lambda s: s.cell.get(5), TypeError, "Cell.get() takes a guard, as domain.read() ... not int 5"),
    (
        "get with a domain",
        lambda s: s.inside(lambda: s.cell.get(s.domain)),
        TypeError,
        "Cell.get() ... not Domain <rcu.Domain {domain}>",
    ),
    ("get with two", lambda s: s.guarded(lambda g: s.cell.get(g, g)), TypeError, "get() ... (2 given)"),
    (
        "get with a new guard",
        lambda s: s.cell.get(s.domain.read()),
        rcu.SectionError,
        "{domain}, new> is not under way ... with block",
    ),
    (
        "get after release",
        by.get_after_release,
        rcu.SectionError,
        "{domain}, released> is not under way ... before release()",
    ),
    (
        "get after the block",
        by.get_after_the_block,
        rcu.SectionError,
        "{domain}, released> is not under way ... with block",
    ),
    (
        "get after unlocking by hand",
        by.get_after_unlocking_by_hand,
        rcu.SectionError,
        "{domain}, active> is not under way",
    ),
    (
        "get with another domain's",
        lambda s: s.guarded(s.cell.get, s.other),
        rcu.SectionError,
        "{other} ... {domain}; make one by read()",
    ),
    (
        "get with another thread's",
        lambda s: by.guard_of_another_thread(s, s.cell.get),
        rcu.WrongThreadError,
        OF_ANOTHER,
    ),
    (
        "get with a guard of nothing",
        lambda s: s.cell.get(rcu.Guard.__new__(rcu.Guard)),
        rcu.SectionError,
        "no section of domain {domain}",
    ),
    *[
        (f"{how} without arguments", lambda s, how=how: getattr(s.cell, how)(), TypeError, f"{how}() ... (0 given)")
        for how in WRITERS
    ],
    *[
        (
            f"{how} the cell",
            lambda s, how=how: s.writes(how, lambda: s.cell),
            ValueError,
            f"Cell.{how}() ... {{domain}} ... publish itself",
        )
        for how in WRITERS
    ],
    *[
        (
            f"{how} in its update",
            lambda s, how=how: s.updating(lambda: s.writes(how, list)),
            rcu.DeadlockError,
            f"{{domain}}: Cell.{how}() by {{thread}} ... return the new value",
        )
        for how in WRITERS
    ],
    (
        "barrier in an update",
        lambda s: s.updating(lambda: by.deferred_then_waits(s)),
        rcu.DeadlockError,
        "{domain}: barrier() by {thread} ... before or after",
    ),
    (
        "barrier_async in an update",
        lambda s: s.updating(s.domain.barrier_async),
        rcu.DeadlockError,
        "{domain} ... {thread} ... before or after",
    ),
    (
        "update by 5",
        lambda s: s.cell.update(5),
        TypeError,
        "Cell.update() takes a function of the old value, not int 5",
    ),
    (
        "update by the new value",
        lambda s: s.cell.update(["new"]),
        TypeError,
        "function of the old value, not list ['new']",
    ),
    (
        "update by no function of it",
        lambda s: s.cell.update(lambda: 1),
        TypeError,
        "0 positional arguments but 1 was given",
    ),
    *[
        (f"update by {f.__name__} {i}", lambda s, f=f: s.cell.update(f), TypeError, f"update() ... {NO_BODY}")
        for i, f in enumerate(BODILESS)
    ],
    (
        "update by a partial coroutine",
        lambda s: s.cell.update(functools.partial(by.coroutine, 1)),
        TypeError,
        "Cell.update() ... await what it needs before",
    ),
    (
        "replace what is published",
        lambda s: s.cell.replace(s.first),
        ValueError,
        "Cell.replace(): list ['first'] is what ... {domain} ... already",
    ),
    *[
        (
            f"cell: {each.__module__}.{each.__name__}",
            lambda s, each=each: each(s.cell),
            TypeError,
            "{domain} ... copy its value",
        )
        for each in NO_COPIES
    ],
]

# ---- what was replaced, and the rest ---------------------------------------------------------------------------------

REST = [
    ("make a Replaced", lambda _: rcu.Replaced(), TypeError, "made by Cell.replace()"),
    ("make a Replaced by __new__", lambda _: rcu.Replaced.__new__(rcu.Replaced), TypeError, "made by Cell.replace()"),
    ("enter it in a section", lambda s: s.inside(lambda: s.replaced(by.enter)), rcu.DeadlockError, ITSELF),
    (
        "await it in a section",
        lambda s: s.inside(lambda: s.replaced(lambda r: s.run(lambda: r))),
        rcu.DeadlockError,
        ITSELF,
    ),
    (
        "async with it in a section",
        lambda s: s.inside(lambda: s.replaced(lambda r: s.run(lambda: by.enter_async(r)))),
        rcu.DeadlockError,
        ITSELF,
    ),
    (
        "await it outside of loops",
        lambda s: s.replaced(lambda r: r.__await__().send(None)),
        rcu.RcuError,
        f"a Replaced ... {NO_LOOP}",
    ),
    (
        "wait beside a reader",
        lambda s: s.held(lambda: s.replaced(lambda r: r.wait(0))),
        TimeoutError,
        "{domain}: Replaced.wait() ... 0 s ... thread 'Thread-",
    ),
    (
        "assign what was replaced",
        lambda s: s.replaced(lambda r: setattr(r, "value", 1)),
        AttributeError,
        "'value' ... Replaced",
    ),
    *[
        (
            f"replaced: {each.__module__}.{each.__name__}",
            lambda s, each=each: s.replaced(each),
            TypeError,
            "{domain} ... of this process",
        )
        for each in NO_COPIES
    ],
    ("share nothing", lambda _: rcu.share(), TypeError, "share() missing ... 'obj'"),
    ("share by place", lambda _: rcu.share([], True), TypeError, "share() takes 1 positional argument but 2"),
    (
        "limits by place",
        lambda _: rcu.set_garbage_limit(5),
        TypeError,
        "set_garbage_limit() takes its limits by name ... int 5",
    ),
    (
        "limits and none",
        lambda _: rcu.set_garbage_limit(None, age=5),
        TypeError,
        "set_garbage_limit(None) ... takes no others",
    ),
    ("no such limit", lambda _: rcu.set_garbage_limit(size=1), TypeError, "'size'"),
    ("number", lambda _: rcu.set_garbage_limit(number=1.5), TypeError, "number must be an int or None, not float 1.5"),
    (
        "number < 0",
        lambda _: rcu.set_garbage_limit(number=-1),
        ValueError,
        "number must be at least 0, or None, not -1",
    ),
    ("nbytes", lambda _: rcu.set_garbage_limit(nbytes="1M"), TypeError, "nbytes must be an int or None, not str '1M'"),
    ("age", lambda _: rcu.set_garbage_limit(age="1"), TypeError, f"age {SECONDS} or None, not str '1'"),
    ("age < 0", lambda _: rcu.set_garbage_limit(age=-1), ValueError, "age ... of at least 0, or None, not -1"),
    ("exit timeout", lambda _: rcu.set_exit_timeout("5"), TypeError, f"{SECONDS} or None, not str '5'"),
    ("exit timeout < 0", lambda _: rcu.set_exit_timeout(-5), ValueError, "of at least 0, or None, not -5"),
    ("no exit timeout", lambda _: rcu.set_exit_timeout(), TypeError, "set_exit_timeout() ... (0 given)"),
    ("arguments of garbage_stats", lambda s: rcu.garbage_stats(s.domain), TypeError, "garbage_stats() ... (1 given)"),
    ("arguments of get_include", lambda _: rcu.get_include("x"), TypeError, "get_include() ... 1 was given"),
    (
        "functions of no such domain",
        lambda s: rcu.synchronize(s.domain),
        TypeError,
        f"{SECONDS} or None, not Domain ... {{domain}}",
    ),
]
