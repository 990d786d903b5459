"""python -m litmus.compilers COMMAND...: compares what compilers make of include/rcu/ with what the tests assume.

Each compiler that is named is run for each target that it has: clang for all, gcc for its own. The table is printed
if any of it differs.
"""

import re
import subprocess
import sys

from .code import ROOT
from .machines import MACHINES
from .source import ADDITIONS, COMPARISONS, EXCHANGES, FENCES, LOADS, STORES

TARGETS = {
    "armv8.0": ("aarch64", ["-march=armv8-a", "-mno-outline-atomics"]),
    "armv8.3": ("aarch64", ["-march=armv8.3-a"]),
    "riscv": ("riscv64", ["-march=rv64gc"]),
    "x86": ("x86_64", []),
}

# What keeps order, in machine code.
INSTRUCTION = re.compile(
    r"\b(dmb\s+\w+|cas\w*|lr\.[\w.]+|sc\.[\w.]+"
    r"|ldap?x?r|ldaxr|ldxr|ldr|stl?x?r|swp\w*|ldadd\w*|fence\s+\w+,\s*\w+|amo[\w.]+|l?d|sd"
    r"|mfence|lock\s+\w+|xchgq?|movq(?=.*\())\b"
)

# As strong, or stronger: what else is as good.
AS_GOOD = {
    "ldapr": ("ldar",),
    "lock add": ("lock sub",),
    "mfence": ("lock or",),
    "lr.d.aqrl; sc.d.rl": ("lr.d.aqrl; sc.d.aqrl",),
    "": ("fence rw,rw",),  # Clang 14 for RISC-V fences where it need not
}

SOURCE = "#include <rcu/pointer.h>\n" + "\n".join([
    "uint64_t in_rcu_load_relaxed(uint64_t *word) { return rcu_load_relaxed(word); }",
    "uint64_t in_rcu_load_acquire(uint64_t *word) { return rcu_load_acquire(word); }",
    "void *in_rcu_dereference(void **word) { return rcu_dereference(*word); }",
    "void in_rcu_store_relaxed(uint64_t *word, uint64_t value) { rcu_store_relaxed(word, value); }",
    "void in_rcu_store_release(uint64_t *word, uint64_t value) { rcu_store_release(word, value); }",
    "void in_rcu_assign_pointer(void **word, void *value) { rcu_assign_pointer(*word, value); }",
    "uint64_t in_rcu_exchange(uint64_t *word, uint64_t value) { return rcu_exchange(word, value); }",
    "void *in_rcu_xchg_pointer(void **word, void *value) { return rcu_xchg_pointer(word, value); }",
    "void in_rcu_fetch_add(uint64_t *word) { rcu_fetch_add(word, 2); }",
    "void in_rcu_fetch_sub(uint64_t *word) { rcu_fetch_sub(word, 2); }",
    "int in_rcu_compare_exchange(uint64_t *word, uint64_t is, uint64_t with)"
    "{ return rcu_compare_exchange(word, is, with); }",
    "int in_rcu_cmpxchg_pointer(void **word, void *is, void *with) { return rcu_cmpxchg_pointer(word, &is, with); }",
    "void in_rcu_full_barrier(void) { rcu_full_barrier(); }",
    "void in_rcu_compiler_barrier(void) { rcu_compiler_barrier(); }",
    "",
])  # fmt: skip


def order(lines):
    """The instructions that matter, without what they are applied to."""
    found = (INSTRUCTION.match(line.strip().lower()) for line in lines)
    names = (" ".join(one[1].split()) for one in found if one)
    # Devices are not memory, and the assemblers' spellings differ.
    names = (re.sub(r"(?<=[ ,])i?o?(?=r?w?\b)", "", name.replace(", ", ",")) for name in names)
    return "; ".join(re.sub(r"^(lock \w+?|xchg|mov)q$", r"\1", name) for name in names)


def assumed(machine, function):
    if function in LOADS:
        return order(machine.load("%r1", "%r2", LOADS[function]))
    if function in STORES:
        return order(machine.store("%r2", ("%r1", 0), STORES[function]))
    if function in EXCHANGES:
        return order(machine.exchange("%r1", "%r2", ("%r3", 0), EXCHANGES[function]))
    if function in COMPARISONS:
        return order(machine.compare_exchange("%r2", ("%r1", 0), ("%r3", 0), COMPARISONS[function], "%r4"))
    if function in ADDITIONS:
        kind, sign = ADDITIONS[function]
        return order(machine.add(None, "%r2", 2 * sign, kind))
    return order(machine.fences[FENCES[function]])


def compiled(command):
    """function: its instructions"""
    options = ["-x", "c", "-", "-S", "-o", "-", "-O2", "-ffreestanding", "-std=gnu11", f"-I{ROOT / 'include'}"]
    done = subprocess.run([*command, *options], input=SOURCE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()[:1000]}")
    found = {}
    for part in re.split(r"^(?=in_rcu_\w+:)", done.stdout, flags=re.M)[1:]:
        name = re.match(r"in_(\w+):", part)[1]
        body = re.split(r"^\s*\.size\b", part, flags=re.M)[0]
        # GCC writes some as one line, labels included.
        found[name] = order(re.sub(r"^\s*\d+:", "", one) for row in body.splitlines()[1:] for one in row.split(";"))
    return found


def main(compilers):
    bad = 0
    rows = []
    for compiler in compilers:
        machine = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
        for model, (processor, options) in TARGETS.items():
            if compiler.startswith("clang"):
                options = [f"--target={processor}-linux-gnu", *options]
            elif not machine.startswith(processor):
                continue
            emits = compiled([compiler, *options])
            # Nothing of one mapping may be mixed with the other.
            old = model + "-gcc12"
            if old in MACHINES and emits["rcu_exchange"] == assumed(MACHINES[old], "rcu_exchange"):
                model = old
            for function, emitted in emits.items():
                wanted = assumed(MACHINES[model], function)
                good = emitted == wanted or emitted in AS_GOOD.get(wanted, ())
                bad += not good
                rows.append((compiler, model, function, wanted, emitted + ("" if good else "  <-- weaker?")))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    if bad:
        for row in [("compiler", "model", "function", "assumed", "emitted"), *rows]:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print(f"{len(rows)} functions of {len(compilers)} compilers: {len(rows) - bad} as assumed, or stronger")
    sys.exit(1 if bad or not rows else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
