"""Whether a server is ready: what is looked at, and what decides."""

import asyncio
import http.server
import socket
import threading
from pathlib import Path

import pytest

from trainshed.api import health
from trainshed.api.health import NotReady, Part, Readiness
from trainshed.domain.errors import StoreError
from trainshed.engine.pulse import Pulse
from trainshed.stores.records.sqlite import SqliteDatabase


async def well() -> None:
    """Be in order."""


def failing(error: Exception) -> Part:
    async def check() -> None:
        raise error

    return Part(check)


async def reason(check: health.Check) -> str:
    """Return why a check fails; "" when it does not."""
    _, found = await Readiness({"it": Part(check)}).look()
    return str(found["checks"]["it"]["reason"])


async def test_a_server_is_ready_when_every_part_that_is_needed_is() -> None:
    ready, found = await Readiness({"records": Part(well)}).look()
    assert ready
    assert found["ready"] is True
    assert found["checks"]["records"]["ok"]
    assert found["checks"]["records"]["seconds"] >= 0


@pytest.mark.parametrize("error", [NotReady("why"), StoreError("why"), OSError("why")])
async def test_a_part_that_fails_is_told_with_its_reason(error: Exception) -> None:
    ready, found = await Readiness({"records": failing(error), "engine": Part(well)}).look()
    assert not ready
    assert found["checks"]["records"]["reason"] == "why"
    assert found["checks"]["engine"]["ok"]


async def test_what_only_some_jobs_need_is_told_and_decides_nothing() -> None:
    broken = Part(failing(NotReady("gone")).check, needed=False)
    ready, found = await Readiness({"backend docker": broken}).look()
    assert ready
    assert not found["checks"]["backend docker"]["ok"]


async def test_many_probes_cost_one_look() -> None:
    looks = 0

    async def check() -> None:
        nonlocal looks
        looks += 1

    readiness = Readiness({"it": Part(check)})
    await asyncio.gather(*(readiness.look() for _ in range(20)))
    assert looks == 1


async def test_records_are_written_and_read(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    assert await reason(health.records(database)) == ""
    database.close()
    assert "closed" in await reason(health.records(database))


async def test_a_folder_needs_to_take_a_file_and_have_room(tmp_path: Path) -> None:
    assert await reason(health.folder(tmp_path, 1)) == ""
    assert "are kept free" in await reason(health.folder(tmp_path, 1 << 60))
    assert "No such file" in await reason(health.folder(tmp_path / "none", 1))
    assert list(tmp_path.iterdir()) == []


async def test_an_engine_that_goes_round_is_well_and_one_that_does_not_is_not() -> None:
    now = asyncio.get_running_loop().time()
    pulse = Pulse(5.0)
    assert "not looked at the jobs yet" in await reason(health.engine(pulse))
    pulse.beat(now)
    assert await reason(health.engine(pulse)) == ""
    stuck = Pulse(5.0)
    stuck.beat(now - 60)
    assert "went round 60 s ago" in await reason(health.engine(stuck))


def test_the_engine_s_lag_is_that_of_its_last_round_or_of_one_that_is_due() -> None:
    pulse = Pulse(5.0)
    assert pulse.lag(100.0) == 0.0
    pulse.beat(100.0)
    pulse.beat(107.0)
    assert pulse.lag(108.0) == 2.0
    assert pulse.lag(120.0) == 8.0


class Engine(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/_ping" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "unix"


class Broken(Engine):
    status = 500


class UnixServer(http.server.HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, str]:
        return self.socket.accept()[0], "unix"


@pytest.mark.parametrize(("engine", "told"), [(Engine, ""), (Broken, "500")])
async def test_a_container_engine_is_asked_at_its_socket(
    tmp_path: Path, engine: type[Engine], told: str
) -> None:
    path = tmp_path / "engine.sock"
    server = UnixServer(str(path), engine)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert told in await reason(health.engine_socket(f"unix://{path}"))
        assert bool(told) == bool(await reason(health.engine_socket(f"unix://{path}")))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_container_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    told = await reason(health.engine_socket(f"unix://{path}"))
    assert f"no container engine answers at {path}" in told
