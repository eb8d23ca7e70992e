"""The servers of a chaos run: real processes that are started again whenever they have died."""

import signal
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from trainshed.testing.chaos import presence
from trainshed.testing.chaos.book import Outage
from trainshed.testing.chaos.presence import Presence
from trainshed.testing.chaos.schedule import Lives
from trainshed.testing.faults.plan import Plan
from trainshed.testing.faults.server import FaultyServer
from trainshed.testing.postgres import Postgres

_SETTINGS: Final = """
[backends.local]
max_nodes = 4
stop_seconds = 3

[backends.sim]
kind = "simulated"
max_nodes = 12
launch_seconds = 0.2
launch_failures = 0.05
losses_per_hour = 100
interruptions_per_hour = 300
seed = {seed}

[backends.sim.job]
notice = 3

[backends.sim.messages]
lost = 0.03
doubled = 0.03
delay = 0.1
again = 0.5
"""
_RECORDS: Final = """
[records]
url = "{url}"
shared = "{shared}"
"""
_BREATH: Final = 0.05
"""Seconds between a death and the next life."""
_UNSEEN: Final = 0.5
"""Seconds by which clients may see before us that a server is gone."""
_ENDS_AFTER: Final = 1.0
"""Seconds after which a server is asked to end that dies while it does."""


class Victim(FaultyServer):
    """A server that dies by the schedule of its seed, until there is peace."""

    def __init__(self, data: Path, lives: Lives, settings: str, shared: Path | None) -> None:
        """Start nothing yet."""
        super().__init__(data, Plan(), settings=settings, shared=shared)
        self._schedule = lives
        self.peace = False
        """Whether no further life has a plan."""
        self.ready = False
        """Whether it answers, as far as anybody can know."""
        self.silent = False
        """Whether it was told to be: it stands still, or is on its way out."""
        self.presence = Presence()
        """When it answered."""
        self._struck_at = float("inf")

    def plans(self) -> tuple[Plan, Plan]:
        """Return the plans of the life that begins."""
        return (Plan(), Plan()) if self.peace else self._schedule.plans(self.lives)

    @property
    def dies_when_asked(self) -> bool:
        """Whether the point at which this life ends is passed only by who is asked to end."""
        faults = self.plans()[0].faults
        return any(each.at.startswith("leases.release.") for each in faults)

    @property
    def noted(self) -> Path:
        """The file with a line for each fault that happened."""
        return self._noted

    @property
    def pid(self) -> int:
        """The process's id; 0 when it never had one."""
        return self._process.pid if self._process is not None else 0

    def strike(self, number: int) -> bool:
        """Send a signal, at once; tell whether there was somebody."""
        if self._process is None or not self.ready or self._process.poll() is not None:
            return False
        if number == signal.SIGKILL:
            self._struck_at = time.monotonic()
        self._process.send_signal(number)
        return True

    def note(self) -> None:
        """Note whether it answers now, or when it died."""
        answers = self.ready and not self.silent
        dead = not self.running
        at = min(time.monotonic(), self._struck_at, self.died_at() if dead else float("inf"))
        self.presence.note(answers=answers, at=time.monotonic() if answers else at)
        if answers:
            self._struck_at = float("inf")

    def wait(self, seconds: float | None = None) -> bool:
        """Return when the process has ended, or False after so many seconds."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
        return True


class Victims:
    """All servers, and what they share."""

    def __init__(
        self,
        folder: Path,
        seed: str,
        postgres: Postgres | None,
        url: str,
        *,
        points_kill: bool = True,
        only: Collection[str] = (),
    ) -> None:
        """Make one server on SQLite, or two on the PostgreSQL database at ``url``.

        ``points_kill``: whether lives end at points, and not only when somebody strikes; at
        ``only`` some of them, where it names any.
        """
        self.postgres = postgres
        self.shared = folder / ("shared" if postgres else "a")
        settings = _SETTINGS.format(seed=int.from_bytes(seed.encode()[-4:], "big"))
        if postgres:
            settings = _RECORDS.format(url=url, shared=self.shared) + settings
        self.servers = [
            Victim(folder / name, Lives(f"{seed}/{name}", only), settings, self.shared)
            for name in ("ab" if postgres else "a")
        ]
        for server in self.servers:
            server.peace = not points_kill
        self.url = url
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._database = Presence()
        self._database.note(answers=True, at=self._began)
        self._keepers: list[threading.Thread] = []
        self.troubles: list[str] = []
        """What no schedule has foreseen: a server that would not start."""

    @property
    def several(self) -> bool:
        """Whether there are two, and a database of its own."""
        return self.postgres is not None

    def start(self) -> None:
        """Start all, and start them again whenever they die; return when all are ready."""
        for server in self.servers:
            keeper = threading.Thread(target=self._keep, args=(server,), daemon=True)
            keeper.start()
            self._keepers.append(keeper)
        self.await_ready()

    def await_ready(self, seconds: float = 60.0) -> None:
        """Return when all are ready.

        Raises:
            TimeoutError: some are not.
        """
        deadline = time.monotonic() + seconds
        while not all(server.ready for server in self.servers):
            if time.monotonic() > deadline:
                said = "\n".join(server.said()[-2000:] for server in self.servers)
                raise TimeoutError(f"servers are not ready after {seconds} s:\n{said}")
            time.sleep(0.05)

    def make_peace(self) -> None:
        """Have nothing die by a plan from here on, and all be ready, in new lives."""
        for server in self.servers:
            server.peace = True
        for server in self.servers:
            server.strike(signal.SIGCONT)
            life = server.lives
            while server.lives == life:
                self.ask_to_end(server)
                time.sleep(0.1)
            self.await_ready()

    def stop(self) -> None:
        """End all, by SIGTERM."""
        self._over.set()
        for server in self.servers:
            server.strike(signal.SIGCONT)
            server.strike(signal.SIGTERM)
        for keeper in self._keepers:
            keeper.join(60)
            if keeper.is_alive():
                self.troubles.append("a server that was asked to end has not ended within 60 s")

    def outages(self) -> Sequence[Outage]:
        """Return when nobody could answer, so far."""
        with self._lock:
            found = presence.outages((each.presence for each in self.servers), self._began)
            found += presence.outages([self._database], self._began)
        return [Outage(each.began - _UNSEEN, each.ended) for each in found]

    def note_database(self, *, away: bool) -> None:
        """Note that the database goes away, or is back."""
        with self._lock:
            self._database.note(answers=not away, at=time.monotonic())

    def pause(self, server: Victim, seconds: float) -> None:
        """Have a server stand still for so long; return at once."""
        if not server.strike(signal.SIGSTOP):
            return
        server.silent, life = True, server.lives
        self._note(server)

        def go_on() -> None:
            if server.lives == life:
                server.strike(signal.SIGCONT)
                server.silent = False
                self._note(server)

        timer = threading.Timer(seconds, go_on)
        timer.daemon = True
        timer.start()

    def ask_to_end(self, server: Victim) -> None:
        """Send SIGTERM: from then on it takes no further connections."""
        server.silent = True
        self._note(server)
        server.strike(signal.SIGTERM)

    def _keep(self, server: Victim) -> None:
        """Start a server again and again."""
        while not self._over.is_set():
            try:
                server.start()
            except RuntimeError as error:
                self.troubles.append(str(error))
                return
            server.ready, server.silent = True, False
            self._note(server)
            if self._over.is_set():  # it was asked to end before it could hear that
                server.strike(signal.SIGTERM)
            elif server.dies_when_asked and not server.wait(_ENDS_AFTER):
                self.ask_to_end(server)
            server.wait()
            server.ready = False
            self._note(server)
            self._over.wait(_BREATH)

    def _note(self, server: Victim) -> None:
        """Note whether a server can answer now."""
        with self._lock:
            server.note()
