"""Checks the models exhaustively, and that the checks can fail: ``python model/check.py``.

Each model must hold under all mixtures of a bounded number of faults. Each of its mutants, which
break one rule each, must be found. A search that was not complete proves nothing, so it is a
failure. Needs spin and a C compiler.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_MEMORY_MB: Final = 1500
_SECONDS: Final = 300
_DEPTH: Final = 100_000
_AT_ONCE: Final = 2
_INCOMPLETE: Final = ("max search depth too small", "Search not completed", "out of memory")
_STATES: Final = re.compile(r"^ *(\S+) states, stored", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One run of spin over one model."""

    model: str
    """Name of the file, without its suffix."""
    claim: str = ""
    """An LTL formula of the model, under weak fairness; "" for its assertions and end states."""
    faults: int
    mutant: str = ""
    """The rule that is broken; "" for none."""
    harmless: bool = False
    """Whether the mutant must pass: that rule alone is not what prevents harm."""

    def __str__(self) -> str:
        """Return how people name it."""
        what = self.claim or "assertions"
        return f"{self.model} {what}, {self.faults} faults{self.mutant and f', {self.mutant}'}"


CHECKS: Final = (
    Check(model="attempts", faults=3),
    Check(model="attempts", claim="wishes", faults=2),
    Check(model="attempts", claim="ends", faults=2),
    Check(model="journal", faults=4),
    Check(model="journal", claim="ends", faults=3),
    Check(model="line", faults=3),
)
_HARMLESS: Final = {"MUTANT_NO_FENCE"}
_ONLY_BY_CLAIM: Final = {"MUTANT_WISH_NOTED_BEFORE_TOLD": "wishes"}
"""Mutants that break nothing at once, but let something never happen."""


def mutants() -> Iterator[Check]:
    """Yield a check for each rule that a model can break."""
    for path in sorted(HERE.glob("*.pml")):
        for name in sorted(set(re.findall(r"\bMUTANT_[A-Z_]+[A-Z]\b", path.read_text()))):
            yield Check(
                model=path.stem,
                claim=_ONLY_BY_CLAIM.get(name, ""),
                faults=2,
                mutant=name,
                harmless=name in _HARMLESS,
            )


def run(check: Check) -> tuple[bool, str]:
    """Return whether the check came out as it must, and what was found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        options = [f"-DFAULTS={check.faults}"] + ([f"-D{check.mutant}"] if check.mutant else [])
        _call(folder, "spin", "-a", *options, str(HERE / f"{check.model}.pml"))
        how = ["-DNFAIR=3"] if check.claim else ["-DSAFETY", "-DNOCLAIM"]
        limits = ["-DCOLLAPSE", f"-DMEMLIM={_MEMORY_MB}"]
        # A mutant is found after some thousand states: compiling would take longer than searching.
        speed = "-O0" if check.mutant and not check.harmless else "-O2"
        _call(folder, "gcc", speed, "-w", *how, *limits, "-o", "pan", "pan.c")
        fair = ["-a", "-f", "-N", check.claim] if check.claim else []
        said = _call(folder, "./pan", *fair, f"-m{_DEPTH}")
    states = _STATES.search(said)
    if "errors:" not in said or states is None:
        return False, f"spin did not come to an end:\n{said}"
    seconds = f"{states[1]} states, {time.monotonic() - began:.1f} s"
    holds = "errors: 0" in said
    if holds and any(word in said for word in _INCOMPLETE):
        return False, f"the search was not complete:\n{said}"
    if check.mutant and not check.harmless:
        return not holds, f"{'NOT FOUND' if holds else 'found'} ({seconds})"
    error = next((line for line in said.splitlines() if line.startswith("pan:1:")), "")
    return holds, f"{'holds' if holds else f'VIOLATED: {error}'} ({seconds})"


def _call(folder: str, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    # What was searched ends with 0 also where an error was found.
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def main() -> int:
    """Run everything; return 1 if anything came out as it must not."""
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            sys.stderr.write(f"{program} is not installed; on Debian: apt-get install {program}\n")
            return 1
    fine = True
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        checks = [*CHECKS, *mutants()]
        for check, (passed, found) in zip(checks, threads.map(run, checks), strict=True):
            sys.stdout.write(f"{'ok  ' if passed else 'FAIL'} {check}: {found}\n")
            sys.stdout.flush()
            fine = fine and passed
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
