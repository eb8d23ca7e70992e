"""Whatever is killed, and whenever: each checkpoint in the store is one that was whole."""

import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.agent.checkpoints.conftest import Store
from tests.agent.conftest import Agent

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]
WRITER = Path(__file__).with_name("programs") / "writer.py"
AT_ONCE = 6
LONGEST = 3.0
"""Seconds that a program may write before it is killed; half of all, once something is kept."""


class Life:
    """One job that saves, and is killed once at a moment of its own."""

    def __init__(self, agent: MakeAgent, store: Store, folder: Path, seed: int) -> None:
        self.seed = seed
        self.store = store
        self.dice = random.Random(seed)
        self.notes = folder / f"notes-{seed}"
        self.agent = agent(
            node_id=f"job-{seed}.1.algo-1",
            objects=store.access,
            entrypoint=(sys.executable, str(WRITER), str(seed), str(self.notes)),
            request={"CheckpointConfig": {"S3Uri": f"s3://kept/job-{seed}"}},
        )
        self.seen: dict[str, str] = {}

    def live(self) -> None:
        self.agent.start()
        reports = self.agent.reports
        reports.wait_for(lambda: self.agent.fact(Kind.TRAINING))
        if self.seed % 2:
            reports.wait_for(lambda: self.agent.fact(Kind.CHECKPOINT))
        end = time.monotonic() + self.dice.uniform(0.0, LONGEST)
        while (left := end - time.monotonic()) > 0:
            threading.Event().wait(min(left, 0.3))
            self.look()
        if self.dice.random() < 0.5:
            self.agent.kill()
            self.look()
            self.agent.start()
        else:
            os.kill(self.writer(), signal.SIGKILL)
        self.agent.wait()
        self.look()

    def writer(self) -> int:
        """Return the process that writes; the agent's bubblewrap shows its arguments as well."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.notes).encode() in words and words[0] == sys.executable.encode():
                    found.append(int(entry.name))
        return max(found)

    def look(self) -> None:
        for key, body in self.store.checkpoints(f"job-{self.seed}/").items():
            self.seen[hashlib.sha256(body).hexdigest()] = f"seed {self.seed}: {key}, {len(body)} B"

    def torn(self) -> list[str]:
        whole = set(self.notes.read_text().split())
        return [what for digest, what in self.seen.items() if digest not in whole]


def test_no_checkpoint_in_the_store_is_ever_torn(
    agent: MakeAgent, store: Store, tmp_path: Path
) -> None:
    first = int(os.environ.get("TRAINSHED_FIRST_SEED", "0"))
    lives = [Life(agent, store, tmp_path, first + seed) for seed in range(2 * AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as crew:
        list(crew.map(Life.live, lives))
    assert [torn for life in lives for torn in life.torn()] == []
    # The test sees nothing if nothing is kept.
    assert sum(bool(life.seen) for life in lives) >= AT_ONCE
