"""Who strikes at any moment: finds what lives, and kills one of it."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import psycopg

from trainshed.domain.names import NODE_VARIABLE
from trainshed.testing.chaos.book import Book
from trainshed.testing.chaos.schedule import Due, Strike
from trainshed.testing.chaos.victims import Victims

_PAUSE_S: Final = 6.0
"""Longer than a server's lease lasts."""
_MARK: Final = NODE_VARIABLE.encode() + b"="
T = TypeVar("T")


class Striker:
    """Carries strikes out. To be used on the main thread: what it starts ends with its thread."""

    def __init__(self, victims: Victims, book: Book) -> None:
        """Strike ``victims``; write programs that were killed alone into the book."""
        self._victims = victims
        self._book = book
        self.done: Counter[Strike] = Counter()
        self.told: list[str] = []
        """What was done, in order."""

    def strike(self, due: Due) -> None:
        """Do it, if there is anybody to do it to."""
        what = self._carry_out(due)
        if what:
            self.done[due.strike] += len(what.split()) if due.strike is Strike.SERVERS else 1
            self.told.append(f"{time.monotonic():.3f} {due.strike}: {what}")

    def _carry_out(self, due: Due) -> str:
        match due.strike:
            case Strike.SERVER | Strike.SERVERS | Strike.STOP | Strike.PAUSE:
                return self._strike_servers(due)
            case Strike.AGENT | Strike.PROGRAM | Strike.NODE:
                return self._strike_node(due)
            case _:
                return self._strike_database(due)

    def _strike_servers(self, due: Due) -> str:
        servers = [each for each in self._victims.servers if each.ready]
        one = _chosen(servers, due.choice)
        if one is None:
            return ""
        name = f"{one.data.name} (process {one.pid})"
        if due.strike is Strike.PAUSE:
            self._victims.pause(one, _PAUSE_S)
        elif due.strike is Strike.SERVERS:
            name = " ".join(each.data.name for each in servers if each.strike(signal.SIGKILL))
        elif due.strike is Strike.STOP:
            self._victims.ask_to_end(one)
        elif not one.strike(signal.SIGKILL):
            return ""
        return name

    def _strike_node(self, due: Due) -> str:
        agents = self._victims.servers[0].agents()
        programs = {node: pids for node, pids in self.programs().items() if node in agents}
        node = _chosen(sorted(programs if due.strike is Strike.PROGRAM else agents), due.choice)
        if node is None:
            return ""
        pids = list(programs.get(node, ()))
        if due.strike is Strike.PROGRAM:
            self._note_program(node)
        elif due.strike is Strike.AGENT:
            pids = [agents[node]]
        else:
            pids = [agents[node], *pids]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return node

    def _note_program(self, node: str) -> None:
        job = _job_of(self._victims.shared / "nodes" / node)
        with self._book.lock:
            if job in self._book.promises:
                self._book.promises[job].killed = True

    def _strike_database(self, due: Due) -> str:
        postgres = self._victims.postgres
        if postgres is None:
            return ""
        with psycopg.connect(postgres.url, autocommit=True) as asking:
            question = (
                "SELECT pid FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
            )
            pid = _chosen([row[0] for row in asking.execute(question)], due.choice)
            if pid is None:
                return ""
            if due.strike is Strike.SESSION:
                self._victims.note_database(away=True)
                asking.execute("SELECT pg_terminate_backend(%s)", (pid,))
        self._victims.note_database(away=True)
        if due.strike is Strike.BACKEND:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        elif due.strike is Strike.DATABASE:
            postgres.kill()
        postgres.start()
        time.sleep(1.0)  # the servers' next tries
        self._victims.note_database(away=False)
        return f"session {pid}" if due.strike is not Strike.DATABASE else "all of it"

    def programs(self) -> Mapping[str, Sequence[int]]:
        """Return the processes that nodes run for their jobs, by node id."""
        return programs_below(self._victims.shared / "nodes")


def programs_below(nodes: Path) -> dict[str, list[int]]:
    """Return the processes that bear the mark of a node of this folder, by node id."""
    found: dict[str, list[int]] = {}
    below = os.fsencode(nodes.resolve()) + b"/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            for word in (entry / "environ").read_bytes().split(b"\0"):
                if word.startswith(_MARK + below):
                    node = word.removeprefix(_MARK + below).decode()
                    found.setdefault(node, []).append(int(entry.name))
    return found


def end_what_is_left(victims: Victims) -> None:
    """Kill agents and programs whose servers are gone, so that a run that broke off leaves none."""
    left = list(victims.servers[0].agents().values())
    left += [pid for pids in programs_below(victims.shared / "nodes").values() for pid in pids]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _job_of(folder: Path) -> str:
    """Return the name of a node's job; "" when the node is gone."""
    with suppress(OSError, ValueError):
        return str(json.loads((folder / "plan.json").read_text())["request"]["TrainingJobName"])
    return ""


def _chosen(of: Sequence[T], choice: float) -> T | None:
    return of[int(choice * len(of))] if of else None
