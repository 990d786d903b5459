"""Translates a litmus test to the models that herd7 has: C11, and the machine code that compilers make of it.

What each order becomes is in the tables MACHINES; gcc and clang agree on them, and ci/litmus.sh compares them with
what the compilers make of include/rcu/atomic.h.

The heavy barrier makes every reader execute a full fence at some point between call and return. So a test with one
becomes many: one for each statement of each reader, before which the reader is interrupted. It takes the request
(acquire), fences, and says so (release); the leader requests, and goes on only if that was done. Its own fences,
before and after, are left out: that they are not needed makes the test the stronger.
Between the instructions of one statement there is no need to look: a full fence there does what one beside it does,
and a store-conditional fails after an interrupt. A reader is a thread with a compiler barrier.
"""

import itertools
import re
from dataclasses import dataclass, field

from .source import Add, Compare, Exchange, Fence, If, Load, Malformed, Store

MODELS = ("c11", "armv8.0", "armv8.3", "riscv", "x86")

# On these, what must not be seen is looked for, but not the weakened tests.
STRONG_ONLY = ("riscv-gcc12",)

# A register holds this until something is loaded to it: no condition is met by what was not executed.
NOTHING = 77


# ---- the heavy barrier ---------------------------------------------------------------------------------------


def fences(program):
    """All fences of a program, those in an `if` included."""
    for one in program:
        if isinstance(one, If):
            yield from fences(one.body)
        elif isinstance(one, Fence):
            yield one


def readers(programs):
    return [i for i, program in enumerate(programs) if Fence("none") in fences(program)]


def length(program):
    """How many places of a program there are to be interrupted at."""
    return 1 + sum(1 + (length(one.body) if isinstance(one, If) else 0) for one in program)


def interrupted(program, place, interrupt):
    """The program with the statements of an interrupt before its `place`th statement, or after its last one."""
    result = []
    for one in program:
        if place == 0:
            result += interrupt
        place -= 1
        if isinstance(one, If):
            inside = length(one.body)
            if 0 <= place < inside:
                one = If(one.tests, interrupted(one.body, place, interrupt))
            place -= inside
        result.append(one)
    if place == 0:
        result += interrupt
    return tuple(result)


def with_heavy(program, number, remote):
    """The leader's side of its first heavy barrier: what follows it is done only if all of `remote` have fenced."""
    for i, one in enumerate(program):
        if isinstance(one, If) and Fence("heavy") in fences(one.body):
            return (*program[:i], If(one.tests, with_heavy(one.body, number, remote)), *program[i + 1 :])
        if one == Fence("heavy"):
            before = [Store(f"req{number}{i}", (None, 1), "release") for i in remote]
            after = [Load(f"done{number}{i}", f"ack{number}{i}", "acquire") for i in remote]
            done = tuple((load.register, "==", (None, 1)) for load in after)
            return (*program[:i], *before, *after, If(done, program[i + 1 :]))
    raise AssertionError("no heavy barrier")


@dataclass
class Instance:
    """What is translated: a variant of a test, with its heavy barriers at certain places of the readers."""

    variant: object
    places: tuple
    programs: list
    words: dict
    exists: str = ""
    done: dict = field(default_factory=dict)  # registers that tell that the heavy barriers took place

    @property
    def name(self):
        number = self.variant.test.variants.index(self.variant)
        return "-".join([self.variant.test.name, *([f"weak{number}"] if number else []), *map(str, self.places)])


def instances(variant):
    test = variant.test
    programs = variant.programs
    heavy = [i for i, program in enumerate(programs) for one in fences(program) if one == Fence("heavy")]
    remote = readers(test.strong.programs)
    if heavy and not remote:
        raise Malformed(f"{test.name} has a heavy barrier, and no reader with a compiler barrier")
    if len(heavy) > 1:
        raise Malformed(f"{test.name} has more than one heavy barrier")
    if not heavy:
        return [Instance(variant, (), programs, dict(test.words), test.exists)]
    found = []
    for places in itertools.product(*(range(length(programs[i])) for i in remote)):
        one = Instance(variant, places, list(programs), dict(test.words), test.exists)
        one.programs[heavy[0]] = with_heavy(programs[heavy[0]], 0, remote)
        for i, place in zip(remote, places, strict=True):
            asked = f"asked0{i}"
            interrupt = [
                Load(asked, f"req0{i}", "acquire"),
                Fence("seq_cst"),
                Store(f"ack0{i}", (asked, 0), "release"),
            ]
            one.programs[i] = interrupted(programs[i], place, interrupt)
            one.words |= {f"req0{i}": "0", f"ack0{i}": "0"}
            one.done[heavy[0], f"done0{i}"] = 1
        found.append(one)
    return found


# ---- what a program uses ---------------------------------------------------------------------------------------


def walk(program):
    for one in program:
        yield one
        if isinstance(one, If):
            yield from walk(one.body)


def registers(program):
    """name: whether it holds a pointer, in the order of their appearance."""
    found = {}
    for one in walk(program):
        if isinstance(one, Load | Exchange | Compare | Add) and one.register:
            found.setdefault(one.register, isinstance(one, Load | Exchange) and one.pointer)
    return found


def used_words(program, words):
    """The words that a program names, as places or as values."""
    names = []
    for one in walk(program):
        if isinstance(one, Load | Store | Exchange | Compare | Add):
            names.append(one.word)
        if isinstance(one, Store | Exchange | Compare):
            names.append(one.value[0])
        if isinstance(one, Compare):
            names.append(one.expected[0])
        if isinstance(one, If):
            names.extend(value[0] for _, _, value in one.tests)
    return [name for name in dict.fromkeys(names) if name in words]


def observed(instance, register_name):
    """The registers whose values herd7 shall print: those of `reach` and of the heavy barrier."""
    reach = instance.variant.test.reach if not instance.variant.name else ""
    wanted = [(int(thread), name) for thread, name in re.findall(r"(\d):(\w+)=", reach)]
    wanted += list(instance.done)
    words = re.findall(r"(?:^|[^:\w])([a-z]\w*)=", reach)
    return " ".join([f"{thread}:{register_name(thread, name)};" for thread, name in wanted] + [f"{w};" for w in words])


# ---- C11 -------------------------------------------------------------------------------------------------------


def c_value(value):
    name, number = value
    if name is None:
        return str(number)
    return f"{name} + {number}" if number else name


def c_lines(program, indent):
    for one in program:
        match one:
            case Load(register, word, order, pointer):
                what = f"*{word}" if order == "plain" else f"atomic_load_explicit({word}, memory_order_{order})"
                yield f"{indent}int {'*' * pointer}{register} = {what};"
            case Store(word, value, "plain"):
                yield f"{indent}*{word} = {c_value(value)};"
            case Store(word, value, order):
                yield f"{indent}atomic_store_explicit({word}, {c_value(value)}, memory_order_{order});"
            case Exchange(register, word, value, order, pointer):
                left = f"int {'*' * pointer}{register or 'unused'} = "
                yield f"{indent}{left}atomic_exchange_explicit({word}, {c_value(value)}, memory_order_{order});"
            case Compare(register, word, _, value, order):
                function = "atomic_compare_exchange_strong_explicit"
                arguments = f"{word}, {register}_is, {c_value(value)}, memory_order_{order}, memory_order_relaxed"
                yield f"{indent}int {register} = {function}({arguments});"
            case Add(register, word, number, order):
                which = "add" if number > 0 else "sub"
                left = f"int {register} = " if register else ""
                yield f"{indent}{left}atomic_fetch_{which}_explicit({word}, {abs(number)}, memory_order_{order});"
            case Fence("seq_cst" | "acquire" | "release"):
                yield f"{indent}atomic_thread_fence(memory_order_{one.order});"
            case Fence("none"):
                pass
            case If(_, ()):
                pass  # herd's C has no empty blocks
            case If(tests, body):
                # nor has it &&
                inner = indent
                for register, relation, value in tests:
                    yield f"{inner}if ({register} {relation} {c_value(value)}) {{"
                    inner += "    "
                yield from c_lines(body, inner)
                for _ in tests:
                    inner = inner[4:]
                    yield f"{inner}}}"


def c11(instance):
    words = instance.words
    lines = [f"C {instance.name}", ""]
    initial = [f"{name}={value};" for name, value in words.items()]
    for i, program in enumerate(instance.programs):
        initial += [f"int {i}:{name}={NOTHING};" for name, pointer in registers(program).items() if not pointer]
        # What a compare-exchange expects stands in memory of the thread's own.
        for one in walk(program):
            if isinstance(one, Compare):
                initial.append(f"{one.register}_is={c_value(one.expected)};")
    lines += ["{ " + " ".join(initial) + " }", ""]
    for i, program in enumerate(instance.programs):
        own = {f"{one.register}_is": c_value(one.expected) for one in walk(program) if isinstance(one, Compare)}
        known = words | own
        parameters = ", ".join(
            f"int {'**' if known[name] in words else '*'}{name}" for name in [*used_words(program, words), *own]
        )
        lines += [f"P{i}({parameters})", "{", *c_lines(program, "    "), "}", ""]
    shown = observed(instance, lambda _, name: name)
    return "\n".join([*lines, f"locations [{shown}]", f"exists {instance.exists}", ""])
