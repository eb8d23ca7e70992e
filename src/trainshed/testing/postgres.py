"""A PostgreSQL server of one's own, for tests: started in three seconds, and killed at will.

``private_postgres`` makes one in a temporary folder, with everything that it promises switched on
(each commit is flushed), and it goes with the test process, however that ends.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

_INSTALLED = Path("/usr/lib/postgresql")
_START_SECONDS = 60


class Postgres:
    """A server with a folder of its own. On loopback whoever asks is let in."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", password: str = "") -> None:
        """Make its files in ``folder``, which exists and is the user's that it runs as.

        Args:
            folder: empty.
            host: the address it listens on.
            password: what those must know who come from the networks of this machine; without one
                only this machine is let in.
        """
        self._folder = folder
        self._host = host
        self._password = password
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        """Where it listens, once it was started."""
        self._known = False
        initdb = [str(_programs() / "initdb"), "--auth=trust", "--username=trainshed", "--no-sync"]
        if password:
            (folder / "password").write_text(password)
            initdb.append(f"--pwfile={folder / 'password'}")
        made = subprocess.run(
            [*_as_user(), *initdb, "--encoding=UTF8", "--no-locale", f"--pgdata={self._data}"],
            capture_output=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr.decode()
        if password:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet scram-sha-256\n")

    @property
    def url(self) -> str:
        """Where it answers; nothing of anybody is there."""
        who = f"trainshed:{quote(self._password, safe='')}" if self._password else "trainshed"
        return f"postgresql://{who}@{self._host}:{self.port}/postgres"

    def start(self) -> None:
        """Return when it answers. It ends with the thread that calls this: call it on the main one.

        What was committed before it was killed is there again.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                if not self._known:  # somebody else may have the port by now
                    self.port = _free_port(self._host)
                # Of a server that was killed, the memory is let go a moment after it.
                with (self._folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                self._known = self._process.poll() is None
                if self._known:
                    return
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": self._host,
            "port": self.port,
            "unix_socket_directories": self._folder,
            "max_connections": 200,
            "shared_buffers": "32MB",
            "recovery_init_sync_method": "syncfs",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*_as_user(), str(_programs() / "postgres"), "-D", str(self._data), *options]

    def kill(self) -> None:
        """End it at once, by SIGKILL of every process of it: nothing is flushed any more."""
        if self._process is not None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            for pid in (self._process.pid, *map(int, children.read_text().split())):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End it, as an operator does who is in a hurry: whoever asks something is thrown out."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    @contextmanager
    def schema(self) -> Iterator[str]:
        """Yield the url of an empty place of its own, which goes afterwards."""
        name = f"s{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield f"{self.url}?options=-csearch_path%3D{name}"
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute("SET lock_timeout = '20s'")
            admin.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@contextmanager
def private_postgres(host: str = "127.0.0.1", password: str = "") -> Iterator[Postgres]:
    """Yield a server that runs; it and its files go afterwards.

    Args:
        host: as for ``Postgres``.
        password: the same.

    Raises:
        AssertionError: PostgreSQL is not installed; the message says how it is.
    """
    # Not the test's own folder: only its user may look into that, and a server of root is refused.
    folder = Path(tempfile.mkdtemp(prefix="trainshed-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        server = Postgres(folder, host, password)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs."""
    beside = shutil.which("postgres")
    found = sorted(_INSTALLED.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found or beside, (
        f"PostgreSQL is not installed: there is no postgres on the PATH or below {_INSTALLED}; "
        "on Debian: sudo apt-get install postgresql"
    )
    return found[-1].parent if found else Path(str(beside)).parent


def _as_user() -> Sequence[str]:
    """Return what a command begins with: it ends with this process, and is not root's."""
    end = ["setpriv", "--pdeathsig", "KILL"]
    if getpass.getuser() != "root" and os.geteuid() != 0:
        return end
    return [*end, "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _free_port(host: str) -> int:
    with socket.socket() as asking:
        asking.bind((host, 0))
        return int(asking.getsockname()[1])
