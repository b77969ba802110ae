"""Whether the sums of every product stay in registers: reads the machine code of the object files named (x86).

A compiler that cannot prove that nobody else looks at the sums writes them to memory after every multiplication, at a
third of the speed and with the right results, so that no other test would notice. `make registers` runs this.
"""

import re
import subprocess
import sys
from collections.abc import Iterator

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)")
PRODUCT = re.compile(r"vfn?madd|vdpbf16ps")
LONGEST = 400  # instructions in the body of a loop over k

Instruction = tuple[int, str, str]


def functions(path: str) -> Iterator[tuple[str, list[Instruction]]]:
    """Every function of an object file: its name, and address, operation and operands of its instructions."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", path]
    name = ""
    body: list[Instruction] = []
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if head := FUNCTION.match(line):
            yield name, body
            name, body = head[1], []
        elif found := INSTRUCTION.match(line):
            body.append((int(found[1], 16), found[2], found[3]))
    yield name, body


def products(body: list[Instruction]) -> Iterator[list[Instruction]]:
    """The innermost loops that multiply and add: what lies between a jump back and where it goes."""
    place = {address: index for index, (address, _, _) in enumerate(body)}
    for index, (address, operation, operands) in enumerate(body):
        target = re.match(r"([0-9a-f]+) <", operands) if operation.startswith("j") else None
        first = place.get(int(target[1], 16)) if target and int(target[1], 16) < address else None
        if first is None or index - first > LONGEST:
            continue
        loop = body[first:index]
        if not any(o.startswith("j") for _, o, _ in loop) and sum(bool(PRODUCT.match(o)) for _, o, _ in loop) > 1:
            yield loop


def stores(loop: list[Instruction]) -> int:
    """How many whole vectors a loop writes to the stack."""
    return sum(o.startswith("vmov") and re.search(r"%[yz]mm\d+,.*\(%r[sb]p.*\)$", to) is not None for _, o, to in loop)


def main() -> int:
    """Names every function with such a loop; the exit code says whether there was one."""
    seen, bad = 0, []
    for path in sys.argv[1:]:
        for name, body in functions(path):
            loops = list(products(body))
            seen += len(loops)
            bad += [f"{path}: {name[:150]} writes {n} sums to memory" for loop in loops if (n := stores(loop))]
    sys.stdout.write("\n".join([*bad, f"{seen} loops multiply and add, {len(bad)} of them through memory\n"]))
    return 1 if bad or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
