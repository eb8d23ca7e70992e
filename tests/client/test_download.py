from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer, Refusal, serving
from tests.client.test_upload import how as sending

from trainshed.client.checksums import CRC, Check, Piece, check_of, pieces
from trainshed.client.download import Download, below, bring, bring_all, part_of
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.objects import Entry, entries, missing
from trainshed.client.upload import beside, look, put
from trainshed.domain import digests


def how(fake: FakeServer, moved: list[int] | None = None, part: int = 1000) -> Download:
    told = moved.append if moved is not None else lambda count: None
    return Download(api=fake.api(), progress=told, sleep=lambda seconds: None, range=part)


@pytest.fixture(autouse=True)
def bucket(fake: FakeServer) -> None:
    fake.buckets.add("b")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 12_345])
def test_an_object_of_any_size_comes_as_it_is_and_every_byte_is_told(
    fake: FakeServer, tmp_path: Path, size: int
) -> None:
    content = bytes(index % 251 for index in range(size))
    fake.objects["b/k"] = content
    moved: list[int] = []
    assert bring(how(fake, moved), "s3://b/k", tmp_path / "in/k").files == 1
    assert (tmp_path / "in/k").read_bytes() == content
    assert sum(moved) == size
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["k"]
    assert bring(how(fake), "s3://b/k", tmp_path / "in/k").same == 1


def test_a_store_may_send_ranges_with_the_status_of_the_whole(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.objects["b/k"] = bytes(range(250)) * 10
    fake.status_of_ranges = 200
    bring(how(fake), "s3://b/k", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == fake.objects["b/k"]


def test_what_is_there_of_each_range_is_not_fetched_again(fake: FakeServer, tmp_path: Path) -> None:
    content = bytes(index % 251 for index in range(3000))
    fake.objects["b/k"] = content
    target = tmp_path / "k"
    part = part_of(target)
    part.write_bytes(content[:1400] + bytes(1600))

    etag = md5(content).hexdigest()
    part.with_suffix(".have").write_text(f"{etag} 3000 1000\n0 512\n0 1000\n1 400\n2 9")
    moved: list[int] = []
    bring(how(fake, moved), "s3://b/k", target)
    assert sorted(moved) == [600, 1000, 1400]
    assert target.read_bytes() == content


@pytest.mark.parametrize("have", ["", "other 3000 1000\n0 1000\n", "\0\0\0\n", "x y z\n0 1000\n"])
def test_what_was_written_of_another_version_counts_for_nothing(
    fake: FakeServer, tmp_path: Path, have: str
) -> None:
    fake.objects["b/k"] = b"x" * 3000
    part = part_of(tmp_path / "k")
    part.write_bytes(b"y" * 3000)
    part.with_suffix(".have").write_text(have)
    bring(how(fake), "s3://b/k", tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == b"x" * 3000


class Damaging(FakeServer):
    """Sends other bytes than it says."""

    def s3(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[bytes, str]:
        payload, etag = super().s3(method, path, query, body)
        return (b"!" + payload[1:] if method == "GET" and path == "b/k" else payload), etag


@pytest.mark.parametrize("size", [10, 3000])
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
        with pytest.raises(ApiError, match="503"):
            bring(how(fake), "s3://b/k", tmp_path / "other")


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
    check = check_of({"x-amz-checksum-crc64nvme": digests.encoded(whole.crc64nvme)}, "")
    assert check is not None
    assert check.of_file(path)


@pytest.mark.parametrize(
    ("headers", "etag", "known"),
    [
        ({}, "0" * 32, True),
        ({}, "0" * 32 + "-2", False),
        ({"x-amz-server-side-encryption": "aws:kms"}, "0" * 32, False),
        ({"x-amz-server-side-encryption": "AES256"}, "0" * 32, True),
        ({"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}, "", False),
        ({"x-amz-checksum-sha256": "A" * 43 + "="}, "", True),
        ({"x-amz-checksum-xxhash64": "AAAA"}, "", False),
    ],
)
def test_what_a_store_says_of_an_object_is_compared_where_it_can_be(
    headers: dict[str, str], etag: str, known: bool
) -> None:
    assert isinstance(check_of(headers, etag), Check) is known


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
