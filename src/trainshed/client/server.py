"""Finds the server of a data folder, starts one in the background, stops it.

A running server leaves two files in its folder: ``server.json`` says where it is, and is removed
when it ends; ``credentials.json`` is what to sign with, and stays.
"""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trainshed.client.api import Api, Credentials, Store
from trainshed.client.errors import ClientError, ServerUnreachable

DEFAULT_PORT: Final = 7070
_STEP: Final = 0.05
"""Seconds between two looks for a server that starts or ends."""

Now = Callable[[], datetime]
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers."""

    url: str
    pid: int
    version: str
    started: str
    """As the server wrote it; "" when it did not."""
    data_dir: Path
    credentials: Credentials
    backend: str = ""
    """Where jobs go that name no backend; "" when it did not say."""
    config: Path | None = None
    """Its settings file; None when it has none."""
    backends: Mapping[str, str] = field(default_factory=dict)
    """Backend name to how nodes start their container there: ``process``, ``docker``, or
    ``sibling`` (pods)."""
    stores: Sequence[Store] = ()
    """Object stores beside its own."""

    def api(self, now: Now) -> Api:
        """Return calls to it."""
        return Api(self.url, self.credentials, now=now, stores=self.stores)


def find(data_dir: Path, now: Now) -> Server | None:
    """Return the folder's server, None when it does not run or does not answer."""
    record = _read(data_dir / "server.json")
    keys = _read(data_dir / "credentials.json")
    if not _has(record, "url", "pid") or not _has(keys, "access_key", "secret_key", "region"):
        return None
    if not _runs(int(record["pid"])):
        return None
    credentials = Credentials(
        access_key=keys["access_key"], secret_key=keys["secret_key"], region=keys["region"]
    )
    api = Api(str(record["url"]), credentials, now=now, timeout=5.0)
    health = api.alive()
    api.close()
    if health is None:
        return None
    return Server(
        url=api.url,
        pid=int(record["pid"]),
        version=str(health.get("version", record.get("version", ""))),
        started=str(record.get("started", "")),
        data_dir=data_dir,
        credentials=credentials,
        backend=str(health.get("backend", "")),
        config=Path(record["config"]) if record.get("config") else None,
        backends={
            name: str(facts.get("runtime", ""))
            for name, facts in (health.get("backends") or {}).items()
        },
        stores=tuple(_store(store) for store in record.get("stores") or ()),
    )


def start(
    data_dir: Path, command: Sequence[str], *, now: Now, sleep: Sleep, timeout: float = 30.0
) -> tuple[Server, bool]:
    """Return the folder's server and whether it had to be started, detached, its log in server.log.

    Two callers at once start one server.

    Args:
        data_dir: made when missing.
        command: runs a server for ``data_dir`` in the foreground.
        now: returns the time.
        sleep: waits for a number of seconds.
        timeout: seconds to wait until it answers.

    Raises:
        ServerUnreachable: it ended, or did not answer in time; the log's last lines say why.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(data_dir / "start.lock"):
        if (server := find(data_dir, now)) is not None:
            return server, False
        log = data_dir / "server.log"
        with log.open("ab") as output:
            began = output.tell()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        waited = 0.0
        while waited < timeout:
            if (server := find(data_dir, now)) is not None:
                child.returncode = 0  # it outlives us on purpose: no warning when we forget it
                return server, True
            if (code := child.poll()) is not None:
                raise _failed(f"the server ended at once (exit code {code})", log, began)
            sleep(_STEP)
            waited += _STEP
        child.kill()
        child.wait()
        raise _failed(f"the server did not answer within {timeout:.0f} s", log, began)


def stop(server: Server, *, sleep: Sleep, timeout: float = 30.0) -> None:
    """Ask the server to end, and wait until it has. Jobs that run go on without it.

    Raises:
        ClientError: it still runs after ``timeout`` seconds.
    """
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    waited = 0.0
    while _runs(server.pid):
        if waited >= timeout:
            raise ClientError(
                f"the server (process {server.pid}) still runs {timeout:.0f} s after SIGTERM",
                f"look into {server.data_dir / 'server.log'}",
            )
        sleep(_STEP)
        waited += _STEP


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _store(told: Mapping[str, str]) -> Store:
    region = told.get("region") or "us-east-1"
    own = f"https://s3.{region}.amazonaws.com" if told["prefix"].startswith("s3://") else ""
    key, secret = told.get("access_key", ""), told.get("secret_key", "")
    keys = Credentials(access_key=key, secret_key=secret, region=region)
    return Store(
        prefix=told["prefix"],
        url=(told.get("endpoint") or own).rstrip("/"),
        # Google's is a secret without an id.
        credentials=keys if key or (secret and not own) else None,
    )


def _has(record: dict[str, Any], *keys: str) -> bool:
    return all(key in record for key in keys)


def _runs(pid: int) -> bool:
    if pid <= 0:
        return False
    with suppress(ChildProcessError):  # our own child stays in the table until it is waited for
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # no /proc here, or it ended just now: the next look tells
        return True
    # It has ended, and whoever started it has not asked how (proc(5): state follows the name).
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _failed(what: str, log: Path, began: int) -> ServerUnreachable:
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    why = f"{what}: {lines[-1]}" if lines else what
    return ServerUnreachable(why, f"look into {log}")
