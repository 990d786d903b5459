"""Reads a litmus test: herd's C, with the engine's names for the atomic accesses (include/rcu/atomic.h).

    C exit-read

    What it is about.

    { object=1; seq=5; }

    P0(int *object, int *seq)  // the reader
    {
        int read = *object;
        // [B] include/rcu/read.h rcu_exit: rcu_store_release(&slot->seq, seq);
        rcu_store_release(seq, 4);
    }

    P1(int *object, int *seq)  // the leader
    {
        ...
    }

    exists (0:read=99)
    reach (1:seen=4)

    weakened release -> relaxed: c11 armv8.0 armv8.3 riscv
        P0: rcu_store_release(seq, 4);
        =>  rcu_store_relaxed(seq, 4);

The comments above a statement that begin with a file's name are references: label (if it has one), file, function,
and the line of the code that the statement models, verbatim. `exists` is what must never be, on any model, and in
C11 neither may a data race. `reach` must be seen, or the test would prove nothing.

Each `weakened` block takes an order away: in thread P0 the statements before `=>` are replaced by those after it
(none: they are dropped). On the models named the outcome must then be seen, on the others never. What else the
block says is for the reader, but for lines such as

        in rcu/_grace.pyx complete: OLD LINE => NEW LINE

which tell what the same step is in the code (" ; " parts several lines, and what ends in a backslash goes on). They are
needed where it does not follow from the statements: elsewhere, a statement that is dropped, or that calls another
function with the same arguments, means the same for its references. `none` stands for no models: the order is stronger
than needed, and the block says why it is kept.
"""

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

REFERENCE = re.compile(
    r"// (?:\[(?P<label>[A-Z])\] )?(?P<file>(?:include/)?rcu/[\w.]+) (?P<function>\w+): (?P<line>.+)"
)
CALL = re.compile(r"\b(rcu_\w+|heavy_barrier)\(")

LOADS = {"rcu_load_relaxed": "relaxed", "rcu_load_acquire": "acquire", "rcu_dereference": "acquire"}
STORES = {"rcu_store_relaxed": "relaxed", "rcu_store_release": "release", "rcu_assign_pointer": "release"}
# Relaxed ones, which the engine does not have, are for weakenings.
EXCHANGES = {
    "rcu_exchange": "seq_cst",
    "rcu_exchange_relaxed": "relaxed",
    "rcu_xchg_pointer": "acq_rel",
    "rcu_xchg_pointer_acquire": "acquire",
    "rcu_xchg_pointer_release": "release",
}
# A compare-exchange that fails leaves 0 in its register. Nothing depends on its order then, so a machine that fails one
# for no reason ends the thread.
COMPARISONS = {
    "rcu_compare_exchange": "seq_cst",
    "rcu_cmpxchg_pointer": "seq_cst",
    "rcu_compare_exchange_acquire": "acquire",
    "rcu_compare_exchange_relaxed": "relaxed",
}
ADDITIONS = {
    "rcu_fetch_add": ("seq_cst", 1),
    "rcu_fetch_sub": ("seq_cst", -1),
    "rcu_fetch_add_relaxed": ("relaxed", 1),
    "rcu_fetch_sub_relaxed": ("relaxed", -1),
}
FENCES = {
    "rcu_full_barrier": "seq_cst",
    "rcu_acquire_barrier": "acquire",
    "rcu_release_barrier": "release",
    "rcu_compiler_barrier": "none",
    "heavy_barrier": "heavy",
}


class Malformed(Exception):
    """A litmus test says something that is not understood."""


@dataclass(frozen=True)
class Reference:
    """A line of the code, in a function of a file."""

    label: str
    file: str
    function: str
    line: str


@dataclass(frozen=True)
class Line:
    text: str
    references: tuple = ()


@dataclass(frozen=True)
class Edit:
    """One line of the code becomes another, or none."""

    file: str
    function: str
    old: str
    new: str


@dataclass(frozen=True)
class Load:
    register: str
    word: str
    order: str  # plain, relaxed, acquire
    pointer: bool = False


@dataclass(frozen=True)
class Store:
    word: str
    value: tuple  # (name or None, constant)
    order: str  # plain, relaxed, release


@dataclass(frozen=True)
class Exchange:
    register: str | None
    word: str
    value: tuple
    order: str  # seq_cst, acq_rel, acquire, release, relaxed
    pointer: bool = False


@dataclass(frozen=True)
class Compare:
    """A compare-exchange: 1 in the register if it exchanged, 0 if not."""

    register: str
    word: str
    expected: tuple
    value: tuple
    order: str  # seq_cst, acquire, relaxed


@dataclass(frozen=True)
class Add:
    register: str | None  # what was there before
    word: str
    number: int
    order: str  # seq_cst, relaxed


@dataclass(frozen=True)
class Fence:
    order: str  # seq_cst, acquire, release; none: the compiler's; heavy: in every thread


@dataclass(frozen=True)
class If:
    tests: tuple  # (register, "==" or "!=", (name or None, constant)), all of which must hold
    body: tuple


@dataclass(frozen=True, eq=False)
class Variant:
    """A test, as it stands or weakened."""

    test: "Test"
    name: str  # "" as it stands
    threads: tuple  # of tuples of Line
    sometimes: frozenset
    edits: tuple

    def __str__(self):
        return f"{self.test.name}: {self.name}" if self.name else self.test.name

    @property
    def programs(self):
        return [parse(thread) for thread in self.threads]


@dataclass(eq=False)
class Test:
    name: str
    words: dict  # name: the value that it begins with, a number or another word
    strong: Variant
    weakened: tuple
    exists: str
    reach: str

    __test__ = False  # pytest's

    @property
    def references(self):
        return [reference for thread in self.strong.threads for line in thread for reference in line.references]

    @property
    def labels(self):
        return sorted({reference.label for reference in self.references} - {None})

    @property
    def variants(self):
        return (self.strong, *self.weakened)


# ---- statements ----------------------------------------------------------------------------------------------


def value(text):
    """A constant, a name, or a name plus a constant."""
    found = re.fullmatch(r"(?:([a-z_]\w*)|(?:([a-z_]\w*) \+ )?(\d+))", text)
    if not found:
        raise Malformed(f"no value: {text!r}")
    return (found[1] or found[2], int(found[3] or 0))


def statement(text):
    found = re.fullmatch(r"(?:int (\*?)(\w+) = )?(?:(\w+)\((.*)\)|\*(\w+));", text)
    if not found:
        plain = re.fullmatch(r"\*(\w+) = (.+);", text)
        if not plain:
            raise Malformed(f"no statement: {text!r}")
        return Store(plain[1], value(plain[2]), "plain")
    pointer, register, function, inside, word = found.groups()
    arguments = inside.split(", ") if inside else []
    match function, arguments:
        case None, _ if register:
            return Load(register, word, "plain", bool(pointer))
        case _, [word] if function in LOADS and register:
            return Load(register, word, LOADS[function], bool(pointer))
        case _, [word, new] if function in STORES and not register:
            return Store(word, value(new), STORES[function])
        case _, [word, new] if function in EXCHANGES:
            return Exchange(register, word, value(new), EXCHANGES[function], bool(pointer))
        case _, [word, expected, new] if function in COMPARISONS and register:
            return Compare(register, word, value(expected), value(new), COMPARISONS[function])
        case _, [word, number] if function in ADDITIONS:
            order, sign = ADDITIONS[function]
            return Add(register, word, sign * int(number), order)
        case _, [] if function in FENCES and not register:
            return Fence(FENCES[function])
    raise Malformed(f"no statement: {text!r}")


def parse(lines):
    """The statements of a thread, those of an `if` within it."""
    open_blocks = [[]]
    conditions = []
    for line in lines:
        found = re.fullmatch(r"if \((.*)\) \{", line.text)
        if found:
            tests = (re.fullmatch(r"(\w+) (==|!=) (.+)", one) for one in found[1].split(" && "))
            conditions.append(tuple((one[1], one[2], value(one[3])) for one in tests))
            open_blocks.append([])
        elif line.text == "}":
            body = tuple(open_blocks.pop())
            open_blocks[-1].append(If(conditions.pop(), body))
        else:
            open_blocks[-1].append(statement(line.text))
    if conditions:
        raise Malformed("an if is not closed")
    return tuple(open_blocks[0])


# ---- a file --------------------------------------------------------------------------------------------------


def read_thread(text):
    lines = []
    references = []
    for raw in text.splitlines():
        found = REFERENCE.fullmatch(raw.strip())
        bare = re.sub(r"\s*//.*", "", raw).strip()
        if found:
            references.append(Reference(**found.groupdict()))
        elif bare:
            lines.append(Line(bare, tuple(references)))
            references = []
    if references:
        raise Malformed(f"no statement follows {references[0]}")
    return tuple(lines)


def arguments(text):
    return re.sub(CALL, "(", text)


def implied(old, new):
    """For each statement that goes or is replaced, the edits of the code that this implies."""
    for line in old:
        replaced = [one.text for one in new if arguments(one.text) == arguments(line.text)]
        if line.text in replaced:
            continue
        edits = []
        for reference in line.references:
            before, after = CALL.search(line.text), CALL.search(replaced[0]) if replaced else None
            if before and before[0] in reference.line:
                weaker = reference.line.replace(before[0], after[0]) if after else ""
                edits.append(Edit(reference.file, reference.function, reference.line, weaker))
        yield edits


def replace(lines, old, new):
    """`lines` with `old` replaced, and what `old` was, with its references."""
    texts = [line.text for line in lines]
    wanted = [line.text for line in old]
    places = [i for i in range(len(texts)) if texts[i : i + len(wanted)] == wanted]
    if len(places) != 1:
        raise Malformed(f"{wanted} stands in the thread {len(places)} times, not once")
    [i] = places
    return lines[:i] + new + lines[i + len(wanted) :], lines[i : i + len(wanted)]


def read_weakened(header, block, threads):
    """The name, the threads, the models and the edits of a `weakened` block."""
    name, models = header.rsplit(":", 1)
    steps = []
    edits = []
    side = None
    for raw in re.sub(r" \\\n\s+", " ", block).splitlines():
        step = re.fullmatch(r"    P(\d):\s+(\S.*)", raw)
        to = re.fullmatch(r"    =>(.*)", raw)
        edit = re.fullmatch(r"    in (\S+) (\w+): (.*?) =>(.*)", raw)
        if step:
            side = []
            steps.append((int(step[1]), side, []))
            side.append(Line(step[2]))
        elif to and steps:
            side = steps[-1][2]
            if to[1].strip():
                side.append(Line(to[1].strip()))
        elif edit:
            edits.append(Edit(edit[1], edit[2], edit[3].strip(), edit[4].strip()))
        elif raw.startswith("        ") and side is not None:
            side.append(Line(raw.strip()))
    if not steps:
        raise Malformed(f"weakened {name!r} changes nothing")
    threads = list(threads)
    follows = []
    for thread, old, new in steps:
        threads[thread], old = replace(threads[thread], tuple(old), tuple(new))
        follows.extend(implied(old, new))
    if not edits and len(follows) == 1:
        # Two steps at once are not what one step in the code does.
        [edits] = follows
    return name, tuple(threads), frozenset(models.split()) - {"none"}, tuple(dict.fromkeys(edits))


def load(path):
    try:
        return read(path.stem, path.read_text(encoding="utf-8"))
    except Malformed as error:
        raise Malformed(f"{path.name}: {error}") from None


def read(name, text):
    if not text.startswith(f"C {name}\n"):
        raise Malformed(f"it does not begin with 'C {name}'")
    initial = re.search(r"^\{(.*)\}$", text, re.M)
    exists = re.search(r"^exists (\(.*\))$", text, re.M)
    reach = re.search(r"^reach \((.*)\)$", text, re.M)
    if not (initial and exists and reach):
        raise Malformed("it lacks { the initial values }, exists (...) or reach (...)")
    words = dict(re.findall(r"(\w+)=(\w+)", initial[1]))
    threads = tuple(read_thread(body) for body in re.findall(r"^P\d\([^\n]*\n\{\n(.*?)^\}$", text, re.M | re.S))
    parts = re.split(r"^weakened (.*)\n", text, flags=re.M)
    weakened = []
    test = Test(name, words, None, (), exists[1], reach[1])
    for header, block in zip(parts[1::2], parts[2::2], strict=True):
        weakened.append(Variant(test, *read_weakened(header, block, threads)))
    test.strong = Variant(test, "", threads, frozenset(), ())
    test.weakened = tuple(weakened)
    return test


def tests():
    return [load(path) for path in sorted(HERE.glob("*.litmus"))]
