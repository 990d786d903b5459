"""The litmus tests of the memory orders: that they are about the code as it is, and are translated as they say.

`sh ci/litmus.sh` runs them; here nothing needs herd7.
"""

import re

import pytest

from litmus import code, machines, models, source

TESTS = source.tests()
VARIANTS = [variant for test in TESTS for variant in test.variants]

# Lines that order something of which no other memory depends, by function.
EXEMPT = {
    ("rcu/_slots.pyx", "visit"): "a count of who wants the lock, for fairness",
    ("rcu/_grace.pyx", "survey"): "counts for a report",
    ("rcu/_queue.pyx", "departs"): "the thread's own outbox; the domain's lock is held, as where a reclaimer takes",
    ("rcu/_reclaim.pyx", "hold"): "one holder more, by one who holds the domain: nothing is freed meanwhile",
    ("rcu/_logs.pyx", "run_log"): "one party more, by one of the parties: nothing is freed meanwhile",
    ("rcu/_garbage.pyx", "count"): "counts; one too many or too few is a collection earlier or later",
    ("rcu/_garbage.pyx", "collect_if_due"): "a count for a report",
    ("rcu/_garbage.pyx", "note_collection"): "a count; who asks has called the collector that counts",
    ("rcu/_reclaim.pyx", "rouse"): "the same taken back, where no thread could be started",
}

TINY = """C tiny

{ x=0; p=x; y=0; }

P0(int *x, int **p, int *y)
{
    rcu_store_relaxed(x, 1);
    // [A] include/rcu/read.h rcu_enter: rcu_compiler_barrier();
    rcu_compiler_barrier();
    int *r = rcu_dereference(p);
    int s = rcu_exchange(x, 2);
    rcu_fetch_sub(x, 1);
}

P1(int *x, int *y)
{
    rcu_full_barrier();
    int a = *y;
    if (a == 0 && a != 7) {
        rcu_store_release(x, a + 1);
    }
}

exists (0:s=1)
reach (1:a=0)

weakened exchange -> relaxed: c11
    P0: int s = rcu_exchange(x, 2);
    =>  int s = rcu_exchange_relaxed(x, 2);
"""

CODE = {
    "armv8.0": (
        "MOV X16,#1; STR X16,[X20]; LDAR X0,[X21]; MOV X16,#2; LDAXR X1,[X20]; STLXR W17,X16,[X20]; CBNZ W17,END0; "
        "LDAXR X15,[X20]; SUB X16,X15,#1; STLXR W17,X16,[X20]; CBNZ W17,END0; MOV X19,#1; END0:",
        "DMB ISH; LDR X0,[X20]; CMP X0,#0; B.NE L11; CMP X0,#7; B.EQ L11; ADD X16,X0,#1; STLR X16,[X21]; L11:",
    ),
    "armv8.3": (
        "MOV X16,#1; STR X16,[X20]; LDAPR X0,[X21]; MOV X16,#2; SWPAL X16,X1,[X20]; MOV X16,#-1; LDADDAL X16,X15,[X20]",
        "DMB ISH; LDR X0,[X20]; CMP X0,#0; B.NE L11; CMP X0,#7; B.EQ L11; ADD X16,X0,#1; STLR X16,[X21]; L11:",
    ),
    "riscv": (
        "addi x6,x0,1; sd x6,0(x20); ld x7,0(x21); fence r,rw; addi x6,x0,2; amoswap.d.aqrl x8,x6,(x20); "
        "addi x6,x0,-1; amoadd.d.aqrl x5,x6,(x20)",
        "fence rw,rw; ld x7,0(x20); bne x7,x0,L11; addi x6,x0,7; beq x7,x6,L11; addi x6,x7,1; fence rw,w; "
        "sd x6,0(x21); L11:",
    ),
    "x86": (
        "movq $1,(%r8); movq (%r9),%rbx; movq $2,%rcx; xchgq %rcx,(%r8); lock addq $-1,(%r8)",
        "mfence; movq (%r8),%rbx; cmpq $0,%rbx; jne L11; cmpq $7,%rbx; je L11; movq %rbx,%rax; addq $1,%rax; "
        "movq %rax,(%r9); L11:",
    ),
}


def threads(text):
    """The instructions of each thread of a translated test."""
    rows = [line[:-1].split("|") for line in text.splitlines() if line.endswith(" ;")]
    return tuple("; ".join(cell.strip() for cell in column[1:] if cell.strip()) for column in zip(*rows, strict=True))


# ---- the tests and the code ----------------------------------------------------------------------------------


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_what_a_test_models_stands_in_the_code(test):
    for reference in test.references:
        assert code.modelled(reference), reference


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_what_a_weakening_changes_stands_in_the_code(test):
    for variant in test.weakened:
        for edit in variant.edits:
            lines = code.functions(code.read(edit.file), "." + edit.file.rsplit(".", 1)[1])[edit.function]
            assert code.edited(edit, lines) not in (None, lines), edit


def test_each_order_of_the_code_has_a_test():
    modelled = {(one.file, one.function, code.modelled(one)) for test in TESTS for one in test.references}
    ordered = set(code.ordered_lines())
    assert len(ordered) > 25
    assert {line for line in ordered if line[:2] not in EXEMPT} <= modelled
    assert {line[:2] for line in ordered} >= EXEMPT.keys()


def test_each_label_of_the_code_has_a_test():
    text = "".join(code.read(file) for file in code.ENGINE)
    labels = set(re.findall(r"\[([A-Z])\]", text))
    assert len(labels) > 10
    assert labels == {label for test in TESTS for label in test.labels}


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_a_test_can_fail(test):
    assert test.labels or test.name in ("awaited-count", "log-left")
    assert any(variant.sometimes for variant in test.weakened)
    for variant in test.weakened:
        assert variant.sometimes <= set(models.MODELS), variant


def test_names_are_unique():
    assert len({str(variant) for variant in VARIANTS}) == len(VARIANTS) > 50


@pytest.mark.parametrize(
    ("file", "old", "new", "names"),
    [
        (
            "include/rcu/read.h",
            "    rcu_store_release(&slot->seq, seq);\n",
            "    rcu_store_relaxed(&slot->seq, seq);\n",
            {"exit-read: release -> relaxed", "exit-write: release -> relaxed", "section: [B] release -> relaxed"},
        ),
        (
            "rcu/_grace.pyx",
            "    rcu_full_barrier()\n    if rcu_load_acquire(&slot.awaited) != 0:\n",
            "    # none\n    if rcu_load_acquire(&slot.awaited) != 0:\n",
            {"share-leave: [Q] dropped", "awaited-enter: [Q] dropped"},
        ),
        (
            "include/rcu/pointer.h",
            "__atomic_load_n(&(p), __ATOMIC_ACQUIRE)",
            "__atomic_load_n(&(p), __ATOMIC_RELAXED)",
            {"publish: acquire -> relaxed"},
        ),
        (
            "rcu/_slots.pyx",
            "    if rcu_exchange(&slot.awaited, 0) == 0:\n",
            "    if rcu_exchange(&slot.awaited, 1) == 0:\n",
            set(),
        ),
        # No model misses it while the fence at [D] is there.
        ("rcu/_flavor.pyx", "        rcu_full_barrier()\n", "", set()),
    ],
)
def test_a_fault_of_the_code_is_known_by_its_weakening(file, old, new, names):
    killers = {str(variant) for variant in code.killed_by(file, old, new)}
    assert killers >= names
    assert bool(killers) == bool(names)


def test_a_fault_must_be_told_apart():
    with pytest.raises(ValueError, match="must have it once"):
        code.killed_by("rcu/_grace.pyx", "rcu_full_barrier()", "")


# ---- the translation -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    return source.read("tiny", TINY)


@pytest.mark.parametrize("model", CODE)
def test_machine_code(tiny, model):
    [instance] = models.instances(tiny.strong)
    assert threads(machines.MACHINES[model].translate(instance)) == CODE[model]


def test_c11(tiny):
    [instance] = models.instances(tiny.strong)
    lines = [line.strip() for line in models.c11(instance).splitlines()]
    for line in (
        "atomic_store_explicit(x, 1, memory_order_relaxed);",
        "int *r = atomic_load_explicit(p, memory_order_acquire);",
        "int s = atomic_exchange_explicit(x, 2, memory_order_seq_cst);",
        "atomic_fetch_sub_explicit(x, 1, memory_order_seq_cst);",
        "atomic_thread_fence(memory_order_seq_cst);",
        "int a = *y;",
        "if (a == 0) {",
        "if (a != 7) {",
        "atomic_store_explicit(x, a + 1, memory_order_release);",
    ):
        assert lines.count(line) == 1, line


def test_a_weakened_test_differs_in_its_step_only(tiny):
    [weakened] = tiny.weakened
    strong, weak = (models.c11(models.instances(one)[0]).splitlines() for one in (tiny.strong, weakened))
    different = [(a.strip(), b.strip()) for a, b in zip(strong, weak, strict=True) if a != b]
    assert different == [
        ("C tiny", "C tiny-weak1"),
        (
            "int s = atomic_exchange_explicit(x, 2, memory_order_seq_cst);",
            "int s = atomic_exchange_explicit(x, 2, memory_order_relaxed);",
        ),
        ("locations [1:a;]", "locations []"),
    ]


def test_the_heavy_barrier_interrupts_at_every_place():
    text = TINY.replace("rcu_full_barrier", "heavy_barrier")
    every = models.instances(source.read("tiny", text).strong)
    assert [one.places for one in every] == [(i,) for i in range(6)]
    for one in every:
        places = [i for i, statement in enumerate(one.programs[0]) if statement == source.Fence("seq_cst")]
        assert places == [one.places[0] + 1]
        assert one.done == {(1, "done00"): 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("C tiny", "C other", "does not begin"),
        ("int a = *y;", "int a = y;", "no statement: 'int a = y;'"),
        ("    P0: int s = rcu_exchange(x, 2);", "    P0: int s = rcu_exchange(x, 3);", "0 times, not once"),
        ("reach (1:a=0)", "", "lacks"),
    ],
)
def test_what_is_no_test(old, new, message):
    text = TINY.replace(old, new)
    assert text != TINY
    with pytest.raises(source.Malformed, match=re.escape(message)):
        models.instances(source.read("tiny", text).strong)
