"""What several servers share, and what is said when they can't."""

import json
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainshed.app.backends import drivers
from trainshed.app.build import credentials, this_server
from trainshed.app.listening import PortInUse, listening
from trainshed.app.records import check_folder, opened
from trainshed.app.settings import Records, SettingsError, load
from trainshed.testing.postgres import private_postgres
from trainshed.testing.server import TRAINSHED


def test_of_many_who_make_the_keys_at_once_all_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: credentials(tmp_path, "us-east-1"), range(8)))
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600


def test_servers_of_one_folder_have_each_of_their_ports_together(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "n").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = taken.getsockname()[1]
    plan = {"server_url": f"http://127.0.0.1:{known}"}
    (tmp_path / "nodes" / "n" / "plan.json").write_text(json.dumps(plan))
    with (
        listening(tmp_path, "127.0.0.1", 0, shared=True) as one,
        listening(tmp_path, "127.0.0.1", None, shared=True) as other,
    ):
        ports = [sorted(each.getsockname()[1] for each in it.sockets) for it in (one, other)]
        assert ports[0] == ports[1] == sorted([one.port, known])


def test_servers_of_other_folders_are_never_met_at_a_port(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with listening(tmp_path / "one", "127.0.0.1", 0, shared=True) as one:
        with listening(tmp_path / "other", "127.0.0.1", 0, shared=True) as other:
            assert one.port != other.port
        with (
            pytest.raises(PortInUse),
            listening(tmp_path / "other", "127.0.0.1", one.port, shared=True),
        ):
            pass


def test_a_cluster_belongs_to_no_machine(tmp_path: Path) -> None:
    cluster = 'kind = "kubernetes"\nserver_url = "http://10.0.0.1:7070"\nagent_image = "a"\n'
    path = tmp_path / "trainshed.toml"
    path.write_text(f'[backends.own]\nkind = "local"\n[backends.gpus]\n{cluster}')
    told = this_server("http://127.0.0.1:7070", drivers(load(path), tmp_path))
    assert {"gpus", "local", "own"} <= set(told.reaches)
    assert {"local", "own"} <= set(told.bound)
    assert "gpus" not in told.bound


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('shared = "/x"', "need a database that they share"),
        ('url = "postgresql:///x"\nshared = "x"', "'x' is not absolute"),
        ('url = "mysql://x"', "records.url"),
        ('folder = "/x"', "unknown field `folder`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "trainshed.toml"
    path.write_text(f"[records]\n{text}\n")
    with pytest.raises(SettingsError) as refused:
        load(path)
    assert said in str(refused.value)


def test_a_password_in_the_address_is_never_logged(tmp_path: Path) -> None:
    path = tmp_path / "trainshed.toml"
    path.write_text('[records]\nurl = "postgresql://me:s%2Fcret@h/x"\n')
    assert {"s%2Fcret", "s/cret"} <= set(load(path).secrets())


def test_a_database_that_nobody_answers_for_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    (tmp_path / "trainshed.toml").write_text(
        '[records]\nurl = "postgresql://me:secret@127.0.0.1:1/x"\n'
    )
    ran = subprocess.run(
        [TRAINSHED, "up", "--port", "0", "--data-dir", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode != 0
    assert "'x' at 127.0.0.1:1 cannot be reached" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "secret" not in ran.stderr + ran.stdout
    assert ran.stdout == ""


async def test_a_database_belongs_to_one_folder(tmp_path: Path) -> None:
    with private_postgres() as server, server.schema() as url:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        for _ in range(2):
            database, _ = opened(Records(url=url), tmp_path)
            await check_folder(database, tmp_path / "one")
            with pytest.raises(SettingsError, match="belong to another folder"):
                await check_folder(database, tmp_path / "other")
            database.close()
        (tmp_path / "one").rename(tmp_path / "moved")
        database, _ = opened(Records(url=url), tmp_path)
        await check_folder(database, tmp_path / "moved")
        database.close()


_WITHOUT_PSYCOPG = """
import sys
sys.modules["psycopg"] = None
from pathlib import Path
from trainshed.app.records import opened
from trainshed.app.settings import Records, SettingsError
try:
    opened(Records(url="postgresql:///x"), Path("."))
except SettingsError as error:
    print(error)
"""


def test_without_what_speaks_to_postgresql_it_is_said_how_to_have_it() -> None:
    command = [sys.executable, "-c", _WITHOUT_PSYCOPG]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install 'trainshed[postgres]'" in ran.stdout
