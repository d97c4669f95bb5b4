# SPDX-License-Identifier: Apache-2.0
"""A budget of instructions for the verifier, so that a program does not grow towards the kernel's limit
of a million unseen, on any kernel, by any compiler.

verifier.tsv holds what was measured when it was written (tests/kernels/run --write-budget); a program
may need a quarter more. A program without a line there fails, too: it wants a look.
"""
import pathlib

TABLE = pathlib.Path(__file__).with_name("verifier.tsv")
TOLERANCE = 1.25
HEAD = ["program", "compiler"]


def counts(said):
    """{compiler: {program: instructions}}, the most that any choice of layers needed."""
    found = {}
    for run in said:
        if run["what"] == "run" and run.get("instructions"):
            programs = found.setdefault(run["compiler"], {})
            for program, number in run["instructions"].items():
                programs[program] = max(number, programs.get(program, 0))
    return found


def read():
    """{(program, compiler, kernel): instructions}"""
    if not TABLE.exists():
        return {}
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    head, *rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {(row[0], row[1], kernel): int(number) for row in rows
            for kernel, number in zip(head[2:], row[2:]) if number != "-"}


def excess(kernel, compiler, programs):
    """What is over its budget, in words."""
    table, problems = read(), []
    for program, number in sorted(programs.items()):
        measured = table.get((program, compiler, kernel))
        if measured is None:
            problems.append(f"{program}: {number} instructions and no budget (--write-budget makes one)")
        elif number > round(measured * TOLERANCE):
            problems.append(f"{program}: {number} instructions, budget {round(measured * TOLERANCE)}")
    return problems


def write(results):
    """results: {kernel: what its guest said}; kernels that were not run keep their numbers."""
    kernels = list(results)
    numbers = {key: number for key, number in read().items() if key[2] not in kernels}
    for kernel, said in results.items():
        for compiler, programs in counts(said).items():
            numbers.update({(program, compiler, kernel): number for program, number in programs.items()})
    columns = sorted({key[2] for key in numbers})
    rows = [[program, compiler, *(str(numbers.get((program, compiler, kernel), "-")) for kernel in columns)]
            for program, compiler in sorted({key[:2] for key in numbers})]
    lines = ["# Instructions that the verifier went through; made by tests/kernels/run --write-budget.",
             "\t".join(HEAD + columns), *("\t".join(row) for row in rows)]
    TABLE.write_text("\n".join(lines) + "\n")
