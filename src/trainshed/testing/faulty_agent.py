"""``python -m trainshed.testing.faulty_agent``: the real agent, which may die at named points.

    journal.append.before, .torn (in the middle of the line), .after
    step.<name of the step>.before, .after
    report.before, .after

What a server has acknowledged is kept in a folder ``acknowledged`` beside the file of faults.

A node's agents are its lives: the second one is started over the journal of the first. How often
that was, is counted in ``agent.lives`` in the node's folder. Arguments after the options are the
agent's own.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trainshed.agent.__main__ import main as agent
from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.node import Node, Step
from trainshed.agent.report import Reporter
from trainshed.agent.sequence import STEPS
from trainshed.agent.serving import Parts
from trainshed.app import clock
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.plan import NodePlan
from trainshed.testing.faults.acknowledged import Acknowledged
from trainshed.testing.faults.faults import Faults
from trainshed.testing.faults.process import faults


class FaultyJournal(Journal):
    """A journal whose lines may be cut short by the end of their writer."""

    def __init__(self, path: Path, hurt: Faults) -> None:
        """Open the journal, and read what a former agent left there."""
        self._hurt = hurt
        self._file = path
        super().__init__(path)

    def append(self, kind: Kind, **detail: Any) -> Fact:
        """Write the next fact, or half of it, or die before or after."""
        self._hurt.at("journal.append.before")
        if self._hurt.will("journal.append.torn"):
            line = json.dumps(
                Fact(self.length + 1, clock.now().timestamp(), kind, detail).line()
            ).encode()
            with self._file.open("ab") as file:
                file.write(line[: len(line) // 2])
            self._hurt.die()
        fact = super().append(kind, **detail)
        self._hurt.at("journal.append.after")
        return fact


class FaultyReporter(Reporter):
    """A reporter that may die before a report, or before it hears the answer."""

    hurt: Faults
    kept: Acknowledged | None = None

    def _send_some(self, line: Any) -> None:
        self.hurt.at("report.before")
        facts, size = self._facts_taken, self._bytes_taken
        try:
            super()._send_some(line)
        finally:
            self._keep(facts, size)
        self.hurt.at("report.after")

    def _keep(self, facts: int, size: int) -> None:
        """Keep what the server says it has taken, and had not said before."""
        if self.kept is None:
            return
        more = self._facts_taken - facts
        if more > 0:
            self.kept.note_facts(self._journal.after(facts, more))
        if self._bytes_taken > size:
            data = os.pread(self._log.fileno(), self._bytes_taken - size, size)
            self.kept.note_bytes(size, data)


class Agent:
    """The parts of an agent that is hurt by a plan."""

    def __init__(self, plan: str, noted: Path | None) -> None:
        """Know what will happen as soon as the node's folder is known."""
        self._make: Callable[[int], Faults] = lambda life: faults(plan, life, noted)
        self._kept = noted.with_name("acknowledged") if noted is not None else None
        self._hurt: Faults | None = None

    def parts(self) -> Parts:
        """Return them."""
        steps = tuple(partial(self._step, step) for step in STEPS)
        return Parts(journal=self._journal, reporter=self._reporter, steps=steps)

    def _journal(self, path: Path) -> Journal:
        lives = path.with_name("agent.lives")
        with lives.open("a+") as file:
            file.write(".")
            file.flush()
            life = os.fstat(file.fileno()).st_size
        self._hurt = self._make(life)
        return FaultyJournal(path, self._hurt)

    def _reporter(
        self, plan: NodePlan, journal: Journal, log: OutputLog, forgotten: Callable[[], None]
    ) -> Reporter:
        made = FaultyReporter(plan, journal, log, forgotten)
        made.hurt = self._known()
        if self._kept is not None:
            made.kept = Acknowledged(self._kept, plan.node_id)
        return made

    def _step(self, step: Step, node: Node) -> None:
        name = getattr(step, "__name__", "step")
        self._known().at(f"step.{name}.before")
        step(node)
        self._known().at(f"step.{name}.after")

    def _known(self) -> Faults:
        if self._hurt is None:
            raise RuntimeError("an agent opens its journal first")
        return self._hurt


def main(arguments: list[str]) -> int:
    """Be an agent, for as long as the plan lets it."""
    parser = argparse.ArgumentParser(
        prog="python -m trainshed.testing.faulty_agent", allow_abbrev=False
    )
    parser.add_argument("--faults", default="", help="the plan")
    parser.add_argument("--noted", type=Path, help="a file that gets a line for each fault")
    asked, rest = parser.parse_known_args(arguments)
    return agent(rest, Agent(asked.faults, asked.noted).parts())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
