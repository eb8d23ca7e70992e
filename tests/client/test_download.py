import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer, Refusal, serving
from tests.client.test_upload import how as sending
from tests.stores.remote.breaking import STREAMS

from trainshed.client.checksums import CRC, Piece, pieces
from trainshed.client.download import Download, below, bring, bring_all
from trainshed.client.errors import ClientError, ServerUnreachable
from trainshed.client.objects import Entry, entries, missing
from trainshed.client.upload import beside, look, put
from trainshed.domain import digests
from trainshed.stores.objects.remote.partial import PIECE

MIB = 1 << 20


def how(fake: FakeServer, moved: list[int] | None = None, patience_s: float = 6.0) -> Download:
    told = moved.append if moved is not None else lambda count: None
    return Download(api=fake.api(), progress=told, patience_s=patience_s)


@pytest.fixture(autouse=True)
def bucket(fake: FakeServer) -> None:
    fake.buckets.add("b")


@pytest.mark.parametrize("size", [0, 1, 4096, 16 * MIB, 16 * MIB + 1, 40 * MIB + 5])
def test_an_object_of_any_size_comes_as_it_is_and_every_byte_is_told(
    fake: FakeServer, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    fake.objects["b/k"] = content
    moved: list[int] = []
    assert bring(how(fake, moved), "s3://b/k", tmp_path / "in/k").files == 1
    assert (tmp_path / "in/k").read_bytes() == content
    assert sum(moved) == size
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["k"]
    again: list[int] = []
    assert bring(how(fake, again), "s3://b/k", tmp_path / "in/k").same == 1
    assert again == [size]


def test_a_store_may_send_ranges_with_the_status_of_the_whole(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.objects["b/k"] = os.urandom(40 * MIB)
    fake.status_of_ranges = 200
    bring(how(fake), "s3://b/k", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == fake.objects["b/k"]


def test_what_came_before_is_told_at_once_and_not_fetched_again(
    fake: FakeServer, tmp_path: Path
) -> None:
    content = os.urandom(40 * MIB)
    fake.objects["b/k"] = content
    moved: list[int] = []

    def far_enough(count: int) -> None:
        moved.append(count)
        if sum(moved) > 30 * MIB:
            raise OSError(errno.ENOSPC, "as full as a disk can be")

    first = Download(api=fake.api(), progress=far_enough)
    with pytest.raises(ClientError, match=r"the disk of .* is full"):
        bring(first, "s3://b/k", tmp_path / "k")
    again: list[int] = []
    bring(how(fake, again), "s3://b/k", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == content
    assert again[0] >= sum(moved) - STREAMS * PIECE
    assert sum(again) == len(content)


def test_a_new_file_takes_the_place_of_the_old_one_as_any_file_that_is_made(
    fake: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "other").touch()
    for key, size in (("small", 10), ("large", 17 * MIB)):
        fake.objects[f"b/{key}"] = bytes(size)
        (tmp_path / key).write_text("old")
        bring(how(fake), f"s3://b/{key}", tmp_path / key)
        assert (tmp_path / key).stat().st_size == size
        assert (tmp_path / key).stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.objects["b/k"], fake.told_size = b"", 1 << 60
    with pytest.raises(ClientError, match=f"has room for .* bytes, and {1 << 60} are to come"):
        bring(how(fake), "s3://b/k", tmp_path / "k")
    assert fake.asked == ["HEAD /b/k"]
    assert list(tmp_path.iterdir()) == []


class Damaging(FakeServer):
    """Sends other bytes than it says."""

    def s3(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[bytes, str]:
        payload, etag = super().s3(method, path, query, body)
        return (b"!" + payload[1:] if method == "GET" and path == "b/k" else payload), etag


@pytest.mark.parametrize("size", [10, 17 * MIB])
def test_bytes_that_are_not_the_objects_are_refused_and_not_kept(tmp_path: Path, size: int) -> None:

    with serving(Damaging()) as fake:
        fake.objects["b/k"] = b"x" * size
        with pytest.raises(ClientError, match="arrived damaged"):
            bring(how(fake), "s3://b/k", tmp_path / "k")
    assert list(tmp_path.iterdir()) == []


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:

    class Busy(FakeServer):
        left = 4

        def s3(self, *asked: object) -> tuple[bytes, str]:  # type: ignore[override]
            self.left -= 1
            if self.left > 0:
                raise Refusal(503, "SlowDown", "Please reduce your request rate.")
            return super().s3(*asked)  # type: ignore[arg-type]

    with serving(Busy()) as fake:
        fake.objects["b/k"] = b"x"
        bring(how(fake), "s3://b/k", tmp_path / "k")
        fake.left = 100
        with pytest.raises(ServerUnreachable, match="503"):
            bring(how(fake, patience_s=0.2), "s3://b/k", tmp_path / "other")


@pytest.mark.parametrize(
    "key", ["../x", "/x", "a//x", "a/../../x", "./x", "a/.", "..", "a/\0", "a/../x"]
)
def test_keys_that_are_no_path_in_the_folder_are_refused(key: str) -> None:
    with pytest.raises(ClientError, match="outside"):
        below(Path("in"), f"p/{key}", "p/")


@given(st.text(min_size=1))
def test_any_key_is_refused_or_below_the_folder(key: str) -> None:
    try:
        found = below(Path("/in"), key, "")
    except ClientError:
        return
    assert found is None or Path("/in") in found.parents
    assert ".." not in str(found).split("/")


def test_a_link_in_the_folder_leads_nothing_out_of_it(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to("../out")
    fake.objects["b/link/x"] = b"x"
    with pytest.raises(ClientError, match="through a link"):
        bring_all(how(fake), "s3://b/", tmp_path / "in")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_object_and_a_folder_of_one_name_are_told(fake: FakeServer, tmp_path: Path) -> None:
    fake.objects |= {"b/a": b"1", "b/a/b": b"2"}
    with pytest.raises(ClientError, match=r"a file|a folder"):
        bring_all(how(fake), "s3://b/", tmp_path)


def test_a_list_of_many_pages_is_asked_for_page_by_page(fake: FakeServer) -> None:
    fake.most_of_a_page = 10
    fake.objects |= {f"b/{number:03}": b"" for number in range(95)}
    listed = entries(fake.api(), "b", "")
    assert [next(listed).key for _ in range(10)] == [f"{number:03}" for number in range(10)]
    assert fake.asked.count("GET /b") == 1
    assert len(list(listed)) == 85
    assert fake.asked.count("GET /b") == 10


def test_markers_of_folders_become_folders(fake: FakeServer, tmp_path: Path) -> None:
    fake.objects |= {"b/p/": b"", "b/p/empty/": b"", "b/p/x": b"x"}
    bring_all(how(fake), "s3://b/p/", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "x"}
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize("uri", ["s3://b", "s3://b/"])
def test_a_whole_bucket_is_a_folder_too(fake: FakeServer, tmp_path: Path, uri: str) -> None:
    fake.objects |= {"b/a": b"1", "b/p/x": b"2"}
    assert bring_all(how(fake), uri, tmp_path).files == 2
    assert (tmp_path / "p/x").read_bytes() == b"2"


def test_a_put_that_was_broken_off_sends_only_the_parts_that_are_not_there(
    fake: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"".join(bytes([index]) * 1000 for index in range(5)))
    fake.uploads["old"] = {1: b"\0" * 1000, 2: b"of another file", 4: b"\3" * 1000}
    fake.keys["old"] = "b/big"
    sent = put(sending(fake), look(tmp_path / "big"), bucket="b", key="")
    assert (sent.files, sent.bytes) == (1, 5000)
    assert fake.objects["b/big"] == (tmp_path / "big").read_bytes()
    assert fake.asked.count("PUT /b/big") == 3
    assert fake.uploads == {}
    assert put(sending(fake), look(tmp_path / "big"), bucket="b", key="").same == 1


@given(st.dictionaries(st.text(min_size=1), st.booleans()), st.sets(st.text(min_size=1)))
def test_files_and_objects_of_the_same_key_meet(local: dict[str, bool], further: set[str]) -> None:
    there = {key for key, known in local.items() if known} | further

    def ordered(keys: set[str]) -> list[str]:
        return sorted(keys, key=lambda key: key.encode("utf-8", "surrogatepass"))

    def plain(keys: set[str]) -> set[str]:
        return {key for key in keys if key.isprintable()}

    files = [(key, Path(key)) for key in ordered(plain(set(local)))]
    entries = [Entry(key=key, size=1) for key in ordered(plain(there))]
    met = list(beside(files, entries))
    assert [key for key, _, _ in met] == [key for key, _ in files]
    assert {key for key, _, entry in met if entry} == plain(set(local)) & plain(there)
    assert all(entry is None or entry.key == key for key, _, entry in met)


@given(st.binary(max_size=300), st.integers(1, 100))
def test_the_checksum_of_pieces_is_that_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, length: int
) -> None:
    path = tmp_path_factory.mktemp("sums") / "file"
    path.write_bytes(content)
    whole = Piece(path, 0, len(content)).sums()
    parts = [(piece.sums().crc64nvme, piece.length) for piece in pieces(path, len(content), length)]
    assert digests.joined(CRC, parts) == whole.crc64nvme


@pytest.mark.parametrize(
    ("uri", "look"),
    [
        ("s3://b/in/none", "trainshed data ls s3://b/in/"),
        ("s3://b/in/none/", "trainshed data ls s3://b/in/"),
        ("s3://b/none", "trainshed data ls s3://b/"),
        ("s3://b/", "trainshed data ls"),
    ],
)
def test_where_nothing_is_the_folder_above_is_shown(uri: str, look: str) -> None:
    assert missing(uri).remedy == look
