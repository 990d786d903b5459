"""Domains, sections, guards and grace periods used wrongly.

Each row: a name, what is done in a scene, the error, and what its message says, in this order, with ``...`` between.
"""

import dataclasses
import math

import trio

import misuses as by
import rcu
from misuses import BODILESS, ITSELF, NO_BODY, NO_COPIES, NO_LOOP, OF_ANOTHER, SECONDS
from rcu.aio import quiesce_when_idle
from threads import together

# ---- domains ---------------------------------------------------------------------------------------------------------

DOMAINS = [
    ("name", lambda _: rcu.Domain(5), TypeError, "name must be a string or None, not int 5"),
    ("name in bytes", lambda _: rcu.Domain(b"x"), TypeError, "name ... not bytes b'x'"),
    ("by place", lambda _: rcu.Domain("a", 10.0), TypeError, "at most 1 positional argument (2 given)"),
    ("no such argument", lambda _: rcu.Domain(color=1), TypeError, "unexpected keyword argument 'color'"),
    (
        "stall_timeout",
        lambda _: rcu.Domain(stall_timeout="9"),
        TypeError,
        f"stall_timeout {SECONDS} or None, not str '9'",
    ),
    ("stall_timeout 0", lambda _: rcu.Domain(stall_timeout=0), ValueError, "stall_timeout ... None for never, not 0"),
    ("stall_timeout < 0", lambda _: rcu.Domain(stall_timeout=-1), ValueError, "stall_timeout ... or None, not -1"),
    ("stall_timeout nan", lambda _: rcu.Domain(stall_timeout=math.nan), ValueError, "stall_timeout ... not nan"),
    (
        "backlog_limit",
        lambda _: rcu.Domain(backlog_limit=1.5),
        TypeError,
        "backlog_limit must be an int, not float 1.5",
    ),
    ("no backlog_limit", lambda _: rcu.Domain(backlog_limit=None), TypeError, "backlog_limit ... not NoneType None"),
    (
        "backlog_limit 0",
        lambda _: rcu.Domain(backlog_limit=0),
        ValueError,
        "backlog_limit must be at least 1 ... not 0",
    ),
    ("backlog_limit > 2**63", lambda _: rcu.Domain(backlog_limit=2**63), ValueError, f"2**63, not {2**63}"),
    ("assign stall_timeout", lambda s: setattr(s.domain, "stall_timeout", -3), ValueError, "stall_timeout ... not -3"),
    ("assign backlog_limit", lambda s: setattr(s.domain, "backlog_limit", "5"), TypeError, "backlog_limit ... str '5'"),
    (
        "assign batch_window",
        lambda s: setattr(s.domain, "batch_window", 2),
        ValueError,
        "batch_window ... 0 to 1, not 2",
    ),
    (
        "no batch_window",
        lambda s: setattr(s.domain, "batch_window", None),
        TypeError,
        f"{SECONDS} and at most 1, not None",
    ),
    ("assign name", lambda s: setattr(s.domain, "name", "x"), AttributeError, "'name' ... Domain ... not writable"),
    ("assign anything", lambda s: setattr(s.domain, "color", 1), AttributeError, "Domain ... no attribute 'color'"),
    ("assign to the class", lambda _: setattr(rcu.Domain, "read", 1), TypeError, "cannot set 'read' ... Domain"),
    *[
        (f"delete {name}", lambda s, name=name: delattr(s.domain, name), AttributeError, f"'{name}' of ... {{domain}}")
        for name in ("name", "stall_timeout", "backlog_limit", "batch_window", "read_lock")
    ],
    *[
        (
            f"{each.__module__}.{each.__name__}",
            lambda s, each=each: each(s.domain),
            TypeError,
            "copy or pickle ... {domain}",
        )
        for each in NO_COPIES
    ],
    *[
        (
            f"subclass {cls.__name__}",
            lambda _, cls=cls: type("X", (cls,), {}),
            TypeError,
            f"{cls.__name__}' is not an acc",
        )
        for cls in (rcu.Domain, rcu.Guard, rcu.Cell, rcu.Replaced)
    ],
    ("method of another type", lambda _: rcu.Domain.read_lock(5), TypeError, "read_lock ... Domain ... int"),
    ("call of another type", lambda _: rcu.Domain.call(5, list), TypeError, "call ... Domain ... int"),
    ("exit of another type", lambda _: rcu.Domain.__exit__(5, 1, 2, 3), TypeError, "__exit__ ... Domain ... int"),
    ("set of another type", lambda _: rcu.Cell.set(5, 1), TypeError, "set ... Cell ... int"),
    ("no such method", lambda s: s.domain.lock(), AttributeError, "Domain ... no attribute 'lock'"),
    (
        "assign statistics",
        lambda s: setattr(s.domain.stats(), "stalls", 0),
        dataclasses.FrozenInstanceError,
        "'stalls'",
    ),
    ("arguments of stats", lambda s: s.domain.stats(1), TypeError, "stats() ... (1 given)"),
]

# ---- sections --------------------------------------------------------------------------------------------------------

NONE_TO_END = "{domain} ... without a section to end: {thread} ... by the thread that began it"

SECTIONS = [
    ("unlock without lock", lambda s: s.domain.read_unlock(), rcu.SectionError, f"read_unlock() {NONE_TO_END[13:]}"),
    (
        "unlock of the functions",
        lambda _: rcu.read_unlock(),
        rcu.SectionError,
        "'default' ... read_unlock() ... {thread}",
    ),
    ("unlock twice", lambda s: s.inside(s.domain.read_unlock), rcu.SectionError, NONE_TO_END),
    ("unlock in a with block", by.unlocked_in_a_with_block, rcu.SectionError, "{domain} ... end of a with block"),
    (
        "unlock in run",
        lambda s: s.domain.run(s.domain.read_unlock),
        rcu.SectionError,
        "{domain} ... end of run() ... {thread}",
    ),
    (
        "unlock in a guard",
        lambda s: s.guarded(lambda _: s.domain.read_unlock()),
        rcu.SectionError,
        "{domain} ... a guard",
    ),
    ("unlock of another thread's", lambda s: s.held(s.domain.read_unlock), rcu.SectionError, NONE_TO_END),
    ("unlock another domain", lambda s: s.inside(s.other.read_unlock), rcu.SectionError, "{other} ... {thread}"),
    ("exit without enter", lambda s: s.domain.__exit__(None, None, None), rcu.SectionError, NONE_TO_END),
    ("exit without arguments", lambda s: s.domain.__exit__(), TypeError, "__exit__() ... 3 arguments (0 given)"),
    ("generator in two threads", by.generator_in_two_threads, rcu.SectionError, "{domain} ... thread 'Thread-"),
    ("lock with arguments", lambda s: s.domain.read_lock(5), TypeError, "read_lock() takes no arguments (1 given)"),
    (
        "unlock with arguments",
        lambda s: s.domain.read_unlock(5),
        TypeError,
        "read_unlock() takes no arguments (1 given)",
    ),
    ("read with arguments", lambda s: s.domain.read(s.cell), TypeError, "read() takes no arguments (1 given)"),
    ("enter the method", lambda s: by.enter(s.domain.read), TypeError, "context manager protocol"),
    ("async with a domain", lambda s: s.run(lambda: by.enter_async(s.domain)), TypeError, "Domain' ... async"),
    ("async with a guard", lambda s: s.run(lambda: by.enter_async(s.domain.read())), TypeError, "Guard' ... async"),
    ("run nothing", lambda s: s.domain.run(), TypeError, "run() ... (0 given)"),
    ("run what is no function", lambda s: s.domain.run(5), TypeError, "run() takes a callable ... not int 5"),
    ("run with too few arguments", lambda s: s.domain.run(divmod, 1), TypeError, "divmod expected 2 arguments"),
    *[
        (f"run {f.__name__} {i}", lambda s, f=f: s.domain.run(f), TypeError, f"run() ... {NO_BODY}")
        for i, f in enumerate(BODILESS)
    ],
    (
        "unregister in a section",
        lambda s: s.inside(s.domain.unregister_thread),
        rcu.SectionError,
        "{domain} ... {thread} ... 1 nested section(s); end",
    ),
    (
        "register another",
        lambda s: s.domain.register_thread(1),
        TypeError,
        "register_thread() takes no arguments (1 given)",
    ),
    ("quiesce another", lambda s: s.domain.quiesce(1), TypeError, "quiesce() takes no arguments (1 given)"),
    (
        "ends in a section",
        lambda s: s.logged(lambda: by.ends_in_a_section(s)),
        by.Logged,
        "{domain} ... a thread ended inside",
    ),
]

# ---- guards ----------------------------------------------------------------------------------------------------------

GUARDS = [
    ("make a guard", lambda _: rcu.Guard(), TypeError, "made by Domain.read()"),
    (
        "make a guard by __new__",
        lambda _: by.enter(rcu.Guard.__new__(rcu.Guard)),
        rcu.SectionError,
        "Domain.read() has not made",
    ),
    (
        "guard twice",
        by.guard_used_twice,
        rcu.SectionError,
        "{domain} ... a second time by {thread} ... read() makes a new",
    ),
    ("guard nested in itself", lambda s: s.guarded(by.enter), rcu.SectionError, "{domain} ... active> ... second time"),
    (
        "release a new guard",
        lambda s: s.domain.read().release(),
        rcu.SectionError,
        "{domain}, new> ... no section ... {thread}",
    ),
    (
        "release twice",
        lambda s: s.guarded(by.guard_released_twice),
        rcu.SectionError,
        "{domain}, released> ... with block",
    ),
    (
        "leave a new guard",
        lambda s: s.domain.read().__exit__(None, None, None),
        rcu.SectionError,
        "{domain}, new> ... {thread} ... not entered",
    ),
    ("enter in another thread", lambda s: together(s.domain.read().__enter__), rcu.WrongThreadError, OF_ANOTHER),
    (
        "release in another thread",
        lambda s: by.guard_of_another_thread(s, lambda g: g.release()),
        rcu.WrongThreadError,
        OF_ANOTHER,
    ),
    (
        "leave in another thread",
        lambda s: by.guard_of_another_thread(s, lambda g: g.__exit__(None, None, None)),
        rcu.WrongThreadError,
        OF_ANOTHER,
    ),
    (
        "enter in a callback",
        lambda s: s.callback(s.domain.read().__enter__),
        rcu.WrongThreadError,
        "{domain} ... belongs to",
    ),
    (
        "ended by hand, dropped",
        lambda s: s.unraised(lambda: by.guard_ended_by_hand(s)),
        rcu.SectionError,
        "{domain} ... ended by hand",
    ),
    ("assign active", lambda s: s.guarded(lambda g: setattr(g, "active", False)), AttributeError, "'active' ... Guard"),
    ("delete its domain", lambda s: s.guarded(lambda g: delattr(g, "domain")), AttributeError, "'domain' ... Guard"),
    *[
        (
            f"guard: {each.__module__}.{each.__name__}",
            lambda s, each=each: s.guarded(each),
            TypeError,
            "{domain} ... one thread",
        )
        for each in NO_COPIES
    ],
]

# ---- grace periods ---------------------------------------------------------------------------------------------------

WAITS = [
    ("synchronize", lambda s, *given: s.domain.synchronize(*given)),
    ("barrier", lambda s, *given: s.domain.barrier(*given)),
    ("wait", lambda s, *given: s.replaced(lambda replaced: replaced.wait(*given))),
]

WAITING = [
    *[
        (
            f"{name} for {timeout!r}",
            lambda s, w=wait, t=timeout: w(s, t),
            error,
            f"timeout {SECONDS} ... or None, not {words}",
        )
        for name, wait in WAITS
        for timeout, error, words in [
            ("1", TypeError, "str '1'"),
            (1j, TypeError, "complex 1j"),
            (-1, ValueError, "-1"),
            (math.nan, ValueError, "nan"),
        ]
    ],
    *[(f"{name} with two", lambda s, w=wait: w(s, 1, 2), TypeError, f"{name}() ... (2 given)") for name, wait in WAITS],
    *[
        (f"{name} in a section", lambda s, w=wait: s.inside(lambda: w(s, 0)), rcu.DeadlockError, ITSELF)
        for name, wait in WAITS
    ],
    ("synchronize in run", lambda s: s.domain.run(s.domain.synchronize), rcu.DeadlockError, ITSELF),
    ("synchronize in a guard", lambda s: s.guarded(lambda _: s.domain.synchronize()), rcu.DeadlockError, ITSELF),
    (
        "synchronize nested",
        lambda s: s.inside(lambda: s.inside(s.domain.synchronize)),
        rcu.DeadlockError,
        "2 nested section(s)",
    ),
    (
        "synchronize() beside a reader",
        lambda s: s.held(lambda: s.domain.synchronize(0)),
        TimeoutError,
        "{domain} ... 0 s ... thread 'Thread-",
    ),
    (
        "no timeout for the async form",
        lambda s: s.domain.synchronize_async(1),
        TypeError,
        "synchronize_async() ... (1 given)",
    ),
    ("no timeout by name", lambda s: s.domain.barrier_async(timeout=1), TypeError, "barrier_async() ... keyword"),
    ("synchronize_async in a section", lambda s: s.inside(s.domain.synchronize_async), rcu.DeadlockError, ITSELF),
    ("barrier_async in a section", lambda s: s.inside(s.domain.barrier_async), rcu.DeadlockError, ITSELF),
    ("on trio in a section", lambda s: s.inside(lambda: trio.run(s.domain.barrier_async)), rcu.DeadlockError, ITSELF),
    (
        "await in a section",
        lambda s: by.made_outside_awaited_inside(s, s.domain.synchronize_async),
        rcu.DeadlockError,
        ITSELF,
    ),
    (
        "await barrier in a section",
        lambda s: by.made_outside_awaited_inside(s, s.domain.barrier_async),
        rcu.DeadlockError,
        ITSELF,
    ),
    (
        "await outside of loops",
        lambda s: s.domain.synchronize_async().send(None),
        rcu.RcuError,
        f"{{domain}} ... {NO_LOOP}",
    ),
    (
        "await barrier outside of loops",
        lambda s: s.domain.barrier_async().send(None),
        rcu.RcuError,
        f"{{domain}} ... {NO_LOOP}",
    ),
    ("await twice", by.awaited_twice, RuntimeError, "already awaited"),
    (
        "never await",
        lambda s: s.warned(s.domain.synchronize_async),
        RuntimeWarning,
        "{domain}: synchronize_async()' was never",
    ),
    (
        "never await barrier",
        lambda s: s.warned(s.domain.barrier_async),
        RuntimeWarning,
        "{domain}: barrier_async()' was never",
    ),
    ("poll nothing", lambda s: s.domain.poll(), TypeError, "poll() takes exactly one argument (0 given)"),
    (
        "start_poll with arguments",
        lambda s: s.domain.start_poll(1),
        TypeError,
        "start_poll() takes no arguments (1 given)",
    ),
    *[
        (
            f"poll {cookie!r}",
            lambda s, cookie=cookie: s.domain.poll(cookie),
            TypeError,
            f"{{domain}} ... start_poll() ... {words}",
        )
        for cookie, words in [("5", "str '5'"), (5.0, "float 5.0"), (None, "NoneType None")]
    ],
    *[
        (
            f"poll {cookie!r}",
            lambda s, cookie=cookie: s.domain.poll(cookie),
            ValueError,
            f"{{domain}}: poll({cookie}): start_poll()",
        )
        for cookie in (-4, 0, 1, 2**64, 10**30)
    ],
    (
        "poll another's cookie",
        lambda s: s.domain.poll(s.domain.start_poll() + 400),
        ValueError,
        "{domain} ... has not returned",
    ),
    (
        "quiesce_on_pending of 5",
        lambda s: s.domain.quiesce_on_pending(5),
        TypeError,
        "quiesce_on_pending() ... not 5 of type int",
    ),
    (
        "quiesce_on_pending of a function",
        lambda s: s.domain.quiesce_on_pending(by.coroutine),
        TypeError,
        "; call it first",
    ),
    ("no loop to quiesce", lambda _: quiesce_when_idle(), rcu.RcuError, "{thread} ... asyncio.run()"),
    ("no loop at all", lambda _: quiesce_when_idle(5), TypeError, "not builtins.int; use quiesce_on_pending()"),
    ("a closed loop", lambda _: by.closed_loop(), rcu.RcuError, "closed ... EventLoop"),
]
