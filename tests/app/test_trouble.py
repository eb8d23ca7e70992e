"""What a server says when it can't start: one error that names the file and the way out."""

import os
from pathlib import Path
from urllib.request import urlopen

import pytest

from trainshed.app.build import CredentialsUnreadable, credentials
from trainshed.app.listening import listening
from trainshed.app.serve import DataDirUnusable, run
from trainshed.app.settings import SettingsError, load
from trainshed.testing.server import Server


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file/below", "Not a directory"),
        ("x" * 300, "too long"),
        (os.fsdecode(b"\xff"), "surrogates not allowed"),
        ("two\nlines", "line break"),
    ],
)
def test_a_data_directory_that_can_not_be_used_is_named(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirUnusable, match=why):
        run(tmp_path / name, 0, "127.0.0.1", lambda _: pytest.fail("it must not serve"))


@pytest.mark.parametrize("text", ["", "junk", "0", "70000", "-1"])
def test_a_damaged_memory_of_the_port_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    with listening(tmp_path, "127.0.0.1", 0) as listeners:
        assert (tmp_path / "port").read_text() == str(listeners.port)


def test_a_server_that_has_no_room_for_its_own_notes_serves(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server:
        _, port = server.address
    for name in ("port.new", "server.json.new"):
        (server.data / name).mkdir()  # as good as a full disk
    with server:
        assert server.address == ("127.0.0.1", port)
        with urlopen(f"{server.url}/healthz") as answer:
            assert answer.status == 200
    assert "cannot be told that http://127.0.0.1" in server.said()


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_damaged_keys_are_told_of_and_left_as_they_are(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials.json").write_text(text)
    with pytest.raises(CredentialsUnreadable, match=r"credentials\.json"):
        credentials(tmp_path, "us-east-1")
    assert (tmp_path / "credentials.json").read_text() == text


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"account = 1", b"[backends.local.images]", b'file_roots = ["here"]', b"unknown = 1"],
)
def test_settings_that_can_not_be_used_are_refused_with_the_files_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "trainshed.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"trainshed\.toml"):
        load(path)
