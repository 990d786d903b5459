"""Machine code for a litmus test: what compilers make of each access and fence, in herd7's assembly."""

import re
from itertools import zip_longest
from typing import ClassVar

from .models import NOTHING, observed, registers, used_words
from .source import Add, Compare, Exchange, Fence, If, Load, Malformed, Store


class Machine:
    """Emits straight-line code: a forward jump skips the body of an `if`.

    A store-conditional that fails ends its thread. `succeeded` is the register that holds 1 if none did.
    """

    header = ""
    word_registers = ()
    local_registers = ()
    succeeded = ""

    def translate(self, instance):
        initial = [f"uint64_t {'*' * (v in instance.words)}{name}={v};" for name, v in instance.words.items()]
        exists = instance.exists
        threads = []
        columns = []
        for i, program in enumerate(instance.programs):
            code = Thread(self, instance, i, program)
            initial += code.initial
            threads.append(code)
            columns.append([f" P{i}", *code.lines])
            if code.may_fail:
                exists = f"({exists} /\\ {i}:{self.succeeded.lstrip('%')}=1)"

        def name(thread, local):
            return threads[int(thread)].locals[local].lstrip("%")

        exists = re.sub(r"(\d):(\w+)=", lambda found: f"{found[1]}:{threads[int(found[1])].seen(found[2])}=", exists)
        widths = [max(map(len, column)) for column in columns]
        rows = [
            " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " ;"
            for row in zip_longest(*columns, fillvalue="")
        ]
        shown = observed(instance, name)
        return "\n".join(
            [
                f"{self.header} {instance.name}",
                "{",
                *initial,
                "}",
                *rows,
                f"locations [{shown}]",
                f"exists {exists}",
                "",
            ]
        )


class Thread:
    """One thread's code. The machine says what each access is; this knows the registers and the jumps."""

    def __init__(self, machine, instance, number, program):
        words = used_words(program, instance.words)
        local = registers(program)
        if len(words) > len(machine.word_registers) or len(local) > len(machine.local_registers):
            raise Malformed(f"P{number} of {instance.name} has more words or variables than {machine.header} registers")
        self.machine = machine
        self.number = number
        self.words = dict(zip(words, machine.word_registers, strict=False))
        self.locals = dict(zip(local, machine.local_registers, strict=False))
        self.may_fail = False
        self.end = f"END{number}"
        self.jumps = 0
        self.initial = [f"{number}:{self.seen(word)}={word};" for word in words]
        for name, pointer in local.items():
            kind, start = ("uint64_t *", "") if pointer else ("uint64_t ", f"={NOTHING}")
            self.initial.append(f"{kind}{number}:{self.seen(name)}{start};")
        self.lines = list(self.code(program))
        if self.may_fail:
            self.lines += [*machine.constant(machine.succeeded, 1), f"{self.end}:"]

    def register(self, name):
        return self.locals.get(name) or self.words[name]

    def seen(self, name):
        """The register of a name, as herd7 has it in conditions."""
        return (self.locals.get(name) or self.words.get(name) or name).lstrip("%")

    def code(self, program):
        machine = self.machine
        for one in program:
            match one:
                case Load(register, word, order):
                    yield from machine.load(self.locals[register], self.register(word), order)
                case Store(word, value, order):
                    yield from machine.store(self.register(word), self.operand(value), order)
                case Exchange(register, word, value, order):
                    left = self.locals[register] if register else machine.unused
                    yield from self.atomic(machine.exchange(left, self.register(word), self.operand(value), order))
                case Compare(register, word, expected, value, order):
                    self.jumps += 1
                    operands = self.operand(expected), self.operand(value)
                    label = f"L{self.number}{self.jumps}"
                    left = self.locals[register]
                    yield from machine.constant(left, 0)
                    yield from self.atomic(machine.compare_exchange(self.register(word), *operands, order, label))
                    yield from [*machine.constant(left, 1), f"{label}:"]
                case Add(register, word, number, order):
                    left = self.locals[register] if register else None
                    yield from self.atomic(machine.add(left, self.register(word), number, order))
                case Fence(order):
                    yield from machine.fences[order]
                case If(tests, body):
                    self.jumps += 1
                    label = f"L{self.number}{self.jumps}"
                    for register, relation, value in tests:
                        yield from machine.jump_unless(self.locals[register], relation, self.operand(value), label)
                    yield from self.code(body)
                    yield f"{label}:"

    def operand(self, value):
        """(register or None, constant)"""
        name, number = value
        return (self.register(name) if name else None, number)

    def atomic(self, instructions):
        self.may_fail |= any(text.endswith("END") for text in instructions)
        return [re.sub("END$", self.end, text) for text in instructions]


class AArch64(Machine):
    """Armv8.0: acquire is LDAR, and a read-modify-write an exclusive pair."""

    header = "AArch64"
    word_registers = tuple(f"X{i}" for i in range(20, 29))
    local_registers = tuple(f"X{i}" for i in range(15))
    unused = "X15"
    succeeded = "X19"
    loads: ClassVar = {"plain": "LDR", "relaxed": "LDR", "acquire": "LDAR"}
    stores: ClassVar = {"plain": "STR", "relaxed": "STR", "release": "STLR"}
    fences: ClassVar = {
        "seq_cst": ["DMB ISH"],
        "acquire": ["DMB ISHLD"],
        "release": ["DMB ISH"],
        "none": [],
    }
    exclusives: ClassVar = {
        "seq_cst": ("LDAXR", "STLXR"),
        "acq_rel": ("LDAXR", "STLXR"),
        "acquire": ("LDAXR", "STXR"),
        "release": ("LDXR", "STLXR"),
        "relaxed": ("LDXR", "STXR"),
    }

    def constant(self, register, number):
        return [f"MOV {register},#{number}"]

    def value(self, operand):
        """The instructions that put it into a register, and that register."""
        register, number = operand
        if register is None:
            return self.constant("X16", number), "X16"
        if number:
            return [f"ADD X16,{register},#{number}"], "X16"
        return [], register

    def load(self, register, word, order):
        return [f"{self.loads[order]} {register},[{word}]"]

    def store(self, word, operand, order):
        before, register = self.value(operand)
        return [*before, f"{self.stores[order]} {register},[{word}]"]

    def exchange(self, register, word, operand, order):
        load, store = self.exclusives[order]
        before, new = self.value(operand)
        return [*before, f"{load} {register},[{word}]", f"{store} W17,{new},[{word}]", "CBNZ W17,END"]

    def add(self, register, word, number, order):
        load, store = self.exclusives[order]
        left = register or self.unused
        change = f"ADD X16,{left},#{number}" if number > 0 else f"SUB X16,{left},#{-number}"
        return [f"{load} {left},[{word}]", change, f"{store} W17,X16,[{word}]", "CBNZ W17,END"]

    def compare_exchange(self, word, expected, value, order, label):
        """Jumps to the label if it does not exchange."""
        load, store = self.exclusives[order]
        before, new = self.value(value)
        compare = [f"{load} X15,[{word}]", *self.jump_unless("X15", "==", expected, label)]
        return [*before, *compare, f"{store} W17,{new},[{word}]", "CBNZ W17,END"]

    def jump_unless(self, register, relation, operand, label):
        other, number = operand
        jump = {"==": "B.NE", "!=": "B.EQ"}[relation]
        return [f"CMP {register},{other or f'#{number}'}", f"{jump} {label}"]


class AArch64LSE(AArch64):
    """Armv8.3: acquire is LDAPR, and a read-modify-write one instruction."""

    loads: ClassVar = AArch64.loads | {"acquire": "LDAPR"}
    suffixes: ClassVar = {"seq_cst": "AL", "acq_rel": "AL", "acquire": "A", "release": "L", "relaxed": ""}

    def exchange(self, register, word, operand, order):
        before, new = self.value(operand)
        return [*before, f"SWP{self.suffixes[order]} {new},{register},[{word}]"]

    def add(self, register, word, number, order):
        return [*self.constant("X16", number), f"LDADD{self.suffixes[order]} X16,{register or self.unused},[{word}]"]

    def compare_exchange(self, word, expected, value, order, label):
        before, new = self.value(value)
        other, number = expected
        expects = [f"MOV X15,{other}"] if other else self.constant("X15", number)
        exchange = f"CAS{self.suffixes[order]} X15,{new},[{word}]"
        return [*before, *expects, exchange, *self.jump_unless("X15", "==", expected, label)]


class RISCV(Machine):
    """RVWMO, as the psABI maps C11 to it."""

    header = "RISCV"
    word_registers = tuple(f"x{i}" for i in range(20, 28))
    local_registers = tuple(f"x{i}" for i in range(7, 20))
    unused = "x5"
    after_load: ClassVar = {"plain": [], "relaxed": [], "acquire": ["fence r,rw"]}
    before_store: ClassVar = {"plain": [], "relaxed": [], "release": ["fence rw,w"]}
    fences: ClassVar = {
        "seq_cst": ["fence rw,rw"],
        "acquire": ["fence r,rw"],
        "release": ["fence rw,w"],
        "none": [],
    }
    suffixes: ClassVar = {"seq_cst": ".aqrl", "acq_rel": ".aqrl", "acquire": ".aq", "release": ".rl", "relaxed": ""}
    exclusives: ClassVar = {"seq_cst": (".aqrl", ".rl"), "acquire": (".aq", ""), "relaxed": ("", "")}
    succeeded = "x30"

    def constant(self, register, number):
        return [f"addi {register},x0,{number}"]

    def value(self, operand):
        register, number = operand
        if register is None:
            return (self.constant("x6", number), "x6") if number else ([], "x0")
        if number:
            return [f"addi x6,{register},{number}"], "x6"
        return [], register

    def load(self, register, word, order):
        return [f"ld {register},0({word})", *self.after_load[order]]

    def store(self, word, operand, order):
        before, register = self.value(operand)
        return [*before, *self.before_store[order], f"sd {register},0({word})"]

    def exchange(self, register, word, operand, order):
        before, new = self.value(operand)
        return [*before, f"amoswap.d{self.suffixes[order]} {register},{new},({word})"]

    def add(self, register, word, number, order):
        return [*self.constant("x6", number), f"amoadd.d{self.suffixes[order]} {register or self.unused},x6,({word})"]

    def compare_exchange(self, word, expected, value, order, label):
        load, store = self.exclusives[order]
        # x6 is for the operands: not for both at once.
        before, new = self.value(value)
        if new == "x6":
            new = "x28"
            before = [text.replace("addi x6,", "addi x28,") for text in before]
        compare = [f"lr.d{load} x5,({word})", *self.jump_unless("x5", "==", expected, label)]
        return [*before, *compare, f"sc.d{store} x29,{new},({word})", "bne x29,x0,END"]

    def jump_unless(self, register, relation, operand, label):
        before, other = self.value(operand)
        return [*before, f"{ {'==': 'bne', '!=': 'beq'}[relation] } {register},{other},{label}"]


class RISCVOld(RISCV):
    """As GCC before 14 maps C11 to it: stores that release, and read-modify-writes, differ."""

    header = "RISCV"
    after_load: ClassVar = RISCV.after_load | {"acquire": ["fence rw,rw"]}
    suffixes: ClassVar = {"seq_cst": ".aq", "acq_rel": ".aq", "acquire": ".aq", "release": "", "relaxed": ""}
    exclusives: ClassVar = {"seq_cst": (".aq", ".aq"), "acquire": (".aq", ".aq"), "relaxed": ("", "")}

    def before(self, order):
        return ["fence rw,w"] if order in ("seq_cst", "acq_rel", "release") else []

    def store(self, word, operand, order):
        before, register = self.value(operand)
        if order == "plain":
            return super().store(word, operand, order)
        return [*before, *self.before(order), f"amoswap.d x0,{register},({word})"]

    def exchange(self, register, word, operand, order):
        *before, last = super().exchange(register, word, operand, order)
        return [*before, *self.before(order), last]

    def add(self, register, word, number, order):
        *before, last = super().add(register, word, number, order)
        return [*before, *self.before(order), last]

    def compare_exchange(self, word, expected, value, order, label):
        return [*self.before(order), *super().compare_exchange(word, expected, value, order, label)]


class X86(Machine):
    """x86-64, on which only a store and a later load may change places."""

    header = "X86_64"
    word_registers = tuple(f"%r{i}" for i in range(8, 15))
    local_registers = ("%rbx", "%rcx", "%rdx", "%rsi", "%rdi")
    unused = "%rax"
    succeeded = "%rbp"
    fences: ClassVar = {"seq_cst": ["mfence"], "acquire": [], "release": [], "none": []}

    def constant(self, register, number):
        return [f"movq ${number},{register}"]

    def value(self, operand):
        register, number = operand
        if register is None:
            return [], f"${number}"
        if number:
            return [f"movq {register},%rax", f"addq ${number},%rax"], "%rax"
        return [], register

    def load(self, register, word, order):  # noqa: ARG002
        return [f"movq ({word}),{register}"]

    def store(self, word, operand, order):  # noqa: ARG002
        before, register = self.value(operand)
        return [*before, f"movq {register},({word})"]

    def exchange(self, register, word, operand, order):  # noqa: ARG002
        before, new = self.value(operand)
        return [*before, f"movq {new},{register}", f"xchgq {register},({word})"]

    def add(self, register, word, number, order):  # noqa: ARG002
        if register:
            # herd7 has no xadd. A compare-exchange that succeeds does the same.
            new = [f"movq ({word}),%rax", f"movq %rax,{register}", "movq %rax,%r15", f"addq ${number},%r15"]
            return [*new, f"lock cmpxchgq ({word}),%r15", "jne END"]
        return [f"lock addq ${number},({word})"]

    def compare_exchange(self, word, expected, value, order, label):  # noqa: ARG002
        # herd7 has the operands the other way round.
        before, new = self.value(value)
        other, number = expected
        expects = f"movq {other or f'${number}'},%rax"
        return [*before, f"movq {new},%r15", expects, f"lock cmpxchgq ({word}),%r15", f"jne {label}"]

    def jump_unless(self, register, relation, operand, label):
        other, number = operand
        jump = {"==": "jne", "!=": "je"}[relation]
        return [f"cmpq {other or f'${number}'},{register}", f"{jump} {label}"]


MACHINES = {
    "armv8.0": AArch64(),
    "armv8.3": AArch64LSE(),
    "riscv": RISCV(),
    "riscv-gcc12": RISCVOld(),
    "x86": X86(),
}
