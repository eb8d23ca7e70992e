"""Serves one data directory until told to stop. One server per directory, held by a lock."""

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

import trainshed
from trainshed.app import clock, settings
from trainshed.app.around import Around, nothing
from trainshed.app.build import Parts, build, credentials
from trainshed.app.listening import listening
from trainshed.app.logging import configure
from trainshed.app.private import write_private
from trainshed.app.records import check_folder
from trainshed.app.watching import PATHS, Watching
from trainshed.domain.errors import StoreError, TrainshedError
from trainshed.domain.names import CONTAINER_ADDRESS
from trainshed.wire.connection import Connection

log = logging.getLogger(__name__)


class DataDirUnusable(TrainshedError):
    """The data directory can't be made or used; the message says why."""


class AlreadyServed(TrainshedError):
    """Another server holds the data directory; the message says where it answers."""


def run(
    data_dir: Path,
    port: int | None,
    host: str,
    on_ready: Callable[[str], None],
    config: Path | None = None,
    around: Around = nothing,
) -> None:
    """Serve ``data_dir`` in the foreground until SIGTERM or SIGINT.

    Args:
        data_dir: made if missing; everything is kept below it.
        port: 0 for any free one; None for the one used last, else 7070, else any free one.
        host: address to listen on.
        on_ready: called with the server's URL once it answers.
        config: settings file; ``<data_dir>/trainshed.toml`` when None and it exists.
        around: gets the parts that ``Around`` names.

    Raises:
        DataDirUnusable: nothing can be kept in ``data_dir``.
        AlreadyServed: another server holds the directory.
        PortInUse: ``port`` was asked for and is taken.
        SettingsError: the settings file can't be used.
    """
    _make(data_dir)
    if config is None and (data_dir / "trainshed.toml").exists():
        config = data_dir / "trainshed.toml"
    environment = settings.inherited_environment()
    chosen = settings.load(config, environment)
    configure(chosen.log_format, chosen.log_level, chosen.secrets())
    folder = _folder(data_dir, chosen.records)
    several = bool(chosen.records.shared)
    with _held(data_dir), listening(folder, host, port, shared=several) as listeners:
        url = f"http://{host}:{listeners.port}"
        hidden = (*chosen.secrets(), *credentials(folder, chosen.region).secrets())
        configure(chosen.log_format, chosen.log_level, hidden)
        if not folder.samefile(data_dir):
            _show_keys(data_dir, folder)
        now = around("clock", clock.now)
        parts = build(folder, chosen, url=listeners.near, clock=now, around=around)
        for address in _addresses(parts):
            listeners.add(address)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                announce = partial(_announce, data_dir, url, config, chosen.stores)
                watching = Watching(parts, folder, chosen.objects.reserve_bytes())
                application = _application(parts, watching)
                ready = partial(on_ready, url)
                if parts.hear is not None:
                    runner.run(check_folder(parts.database, folder))
                runner.run(_serve(parts, application, listeners.sockets, announce, ready))
        finally:
            for driver in parts.drivers.values():
                driver.close()
            parts.objects.close()
            parts.database.close()
            parts.tallies.close()
            (data_dir / "server.json").unlink(missing_ok=True)


def _addresses(parts: Parts) -> set[str]:
    """Return where containers look for a server on their machine."""
    hosts = {driver.capabilities.container_host for driver in parts.drivers.values()}
    return hosts & {CONTAINER_ADDRESS}


def _make(data_dir: Path) -> None:
    """Make the folder, and see that files can be written there.

    Raises:
        DataDirUnusable: it can't be, or records and agents could not spell its name.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / "server.lock").touch()
        # Its name goes into the records as UTF-8, and to agents as one line.
        spelled = str(data_dir).encode().splitlines()
    except (OSError, UnicodeEncodeError) as error:
        raise _unusable(data_dir, str(error)) from error
    if len(spelled) > 1:
        raise _unusable(data_dir, "its name has a line break")


def _folder(data_dir: Path, records: settings.Records) -> Path:
    """Return where everything but the records is kept: the data directory, or a shared folder.

    Raises:
        DataDirUnusable: nothing can be kept in the shared folder.
    """
    if not records.shared:
        return data_dir
    folder = Path(records.shared)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "port.lock").touch()
    except OSError as error:
        raise DataDirUnusable(
            f"the folder {str(folder)!r} that the servers share (records.shared) cannot be used: "
            f"{error}"
        ) from error
    return folder


def _show_keys(data_dir: Path, folder: Path) -> None:
    """Have the programs that know the data directory find the shared keys there.

    Keys of a time when the server had this folder for itself are kept beside them.
    """
    name = "credentials.json"
    shown = data_dir / name
    if shown.exists() and not shown.is_symlink():
        shown.replace(data_dir / f"{name}.former")
    shown.unlink(missing_ok=True)
    shown.symlink_to(folder / name)


def _unusable(data_dir: Path, why: str) -> DataDirUnusable:
    return DataDirUnusable(
        f"the data directory {str(data_dir)!r} cannot be used: {why}; name another with --data-dir"
    )


async def _serve(
    parts: Parts,
    application: ASGIApp,
    listeners: list[socket.socket],
    announce: Callable[[], None],
    on_ready: Callable[[], None],
) -> None:
    config = uvicorn.Config(
        application,
        http=Connection,
        # Nobody forwards to this server, and what a client says of its address decides nothing.
        proxy_headers=False,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        # Readers of a live log or a slow download must not hold up a stop.
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    server = _Server(config, parts.stopping)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    if parts.hear is None:  # else others may be writing files that no row names yet
        await parts.objects.sweep()
    # A fault that the engine can't go on with ends the server, loudly.
    async with asyncio.TaskGroup() as group:
        engine = group.create_task(parts.engine.run())
        notifier = group.create_task(parts.notifier.run())
        expiry = group.create_task(parts.expiry.run())
        retention = group.create_task(parts.retention.run())
        hearing = group.create_task(parts.hear()) if parts.hear else None
        serving = group.create_task(server.serve(sockets=listeners))
        while not server.started and not serving.done():
            await asyncio.sleep(0.002)
        announce()
        # Each waiting agent is 28 MB: the other backends get theirs when they are first used.
        parts.drivers[parts.backend].get_ready()
        on_ready()
        await serving
        engine.cancel()
        notifier.cancel()
        expiry.cancel()
        retention.cancel()
        if hearing is not None:
            hearing.cancel()
    # Where that fails, the others wait until they notice.
    with suppress(StoreError):
        await parts.ownership.end()


def _announce(
    data_dir: Path, url: str, config: Path | None, stores: tuple[settings.Store, ...]
) -> None:
    """Tell the programs on this machine where the server answers, and how it was set."""
    told = {
        "pid": os.getpid(),
        "url": url,
        "started": clock.now().isoformat(),
        "version": trainshed.__version__,
        "config": None if config is None else str(config.resolve()),
        "stores": [store.access() for store in stores],
    }
    try:
        write_private(data_dir / "server.json", json.dumps(told))
    except OSError as error:
        # A full disk: whoever does not serve can make no room either, and nodes are never removed.
        log.warning("programs on this machine cannot be told that %s serves: %s", url, error)


class _Server(uvicorn.Server):
    """A server that leaves signals to us: uvicorn's own way dies by them before we clean up."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _application(parts: Parts, watching: ASGIApp) -> ASGIApp:
    """Return the application: what watches us, nodes' questions, every AWS service for all else.

    What AWS clients send is told by its path and signature, so it must reach the front as it came.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/healthz" or (path in PATHS and not _is_signed(scope)):
            await watching(scope, receive, send)
        elif path.startswith("/agent/v1/"):
            asked: ASGIApp = parts.reports
            if path.endswith("/credentials"):
                asked = parts.credentials
            elif path.endswith("/objects"):
                asked = parts.nearby
            await asked(scope, receive, send)
        else:
            await parts.front(scope, receive, send)

    return application


def _is_signed(scope: Scope) -> bool:
    """Tell whether a request is of an AWS client: there may be a bucket of any name."""
    headers = {name for name, _ in scope.get("headers", ())}
    return b"authorization" in headers or bool(scope.get("query_string"))


@contextmanager
def _held(data_dir: Path) -> Iterator[None]:
    """Hold the directory; the lock goes with the process, however that ends."""
    with (data_dir / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            try:
                where = json.loads((data_dir / "server.json").read_text())["url"]
            except (OSError, ValueError, KeyError):
                where = "an address it has not told yet"
            raise AlreadyServed(
                f"a server for {data_dir} already runs at {where}; "
                "use it, stop it with 'trainshed down', or name another --data-dir"
            ) from error
        yield
