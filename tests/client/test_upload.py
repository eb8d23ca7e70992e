from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer, Refusal
from tests.journeys.shed import until

from trainshed.client.checksums import pieces
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.objects import Progress
from trainshed.client.upload import Unfinished, Upload, look, put, send


def how(fake: FakeServer, progress: Progress = lambda moved: None, part: int = 1000) -> Upload:
    return Upload(api=fake.api(), progress=progress, sleep=never, part=part)


def never(seconds: float) -> None:
    raise AssertionError(f"it wanted to wait for {seconds} s")


def test_a_folder_goes_up_file_by_file_below_its_prefix(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "sub" / "b c.csv").write_text("22")
    (tmp_path / "empty").write_text("")
    moved: list[int] = []
    source = look(tmp_path)
    uri = send(how(fake, moved.append), source, bucket="b", prefix="j/input/train")
    assert uri == "s3://b/j/input/train/"
    assert fake.objects == {
        "b/j/input/train/a.csv": b"1",
        "b/j/input/train/empty": b"",
        "b/j/input/train/sub/b c.csv": b"22",
    }
    assert sum(moved) == source.size == 3


def test_one_file_keeps_its_name(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    send(how(fake), look(tmp_path / "a.csv"), bucket="b", prefix="p")
    assert fake.objects == {"b/p/a.csv": b"1"}


def test_a_large_file_goes_up_in_parts_and_comes_out_whole(
    fake: FakeServer, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 41
    (tmp_path / "big").write_bytes(content)
    moved: list[int] = []
    send(how(fake, moved.append), look(tmp_path), bucket="b", prefix="p")
    assert fake.objects == {"b/p/big": content}
    assert sum(moved) == len(content)
    assert len(moved) == 11
    assert fake.uploads == {}


def test_when_a_part_is_refused_nothing_of_the_file_remains(
    fake: FakeServer, tmp_path: Path
) -> None:
    class Full(dict[int, bytes]):
        def __setitem__(self, number: int, body: bytes) -> None:
            raise Refusal(400, "EntityTooLarge", "too large")

    (tmp_path / "big").write_bytes(b"x" * 3000)

    def begin(upload: str) -> None:
        fake.uploads[upload] = Full()

    fake.on_upload = begin
    with pytest.raises(ApiError, match="EntityTooLarge"):
        send(how(fake), look(tmp_path), bucket="b", prefix="p")
    assert fake.uploads == {}
    assert fake.objects == {}


def test_parts_under_way_do_not_hide_why_the_file_was_given_up(
    fake: FakeServer, tmp_path: Path
) -> None:
    class FirstRefused(dict[int, bytes]):
        def __setitem__(self, number: int, body: bytes) -> None:
            if number == 1:
                raise Refusal(400, "EntityTooLarge", "too large")
            until(lambda: not fake.uploads)
            raise Refusal(404, "NoSuchUpload", "The specified upload does not exist.")

    (tmp_path / "big").write_bytes(b"x" * 4000)
    fake.on_upload = lambda upload: fake.uploads.update({upload: FirstRefused()})
    with pytest.raises(ApiError, match="EntityTooLarge"):
        send(how(fake), look(tmp_path), bucket="b", prefix="p")


@pytest.mark.parametrize(
    ("refusal", "stays"),
    [
        (Refusal(400, "EntityTooLarge", "too large"), False),
        (Refusal(501, "NotImplemented", "no such checksum"), False),
        (Refusal(404, "NoSuchUpload", "it is gone"), False),
        (Refusal(403, "AccessDenied", "no"), True),
        (Refusal(400, "ExpiredToken", "too old"), True),
        (Refusal(507, "InsufficientStorage", "full"), True),
    ],
)
def test_parts_that_may_be_of_use_stay_and_are_told_and_others_are_removed(
    fake: FakeServer, tmp_path: Path, refusal: Refusal, stays: bool
) -> None:
    class Refusing(dict[int, bytes]):
        def __setitem__(self, number: int, body: bytes) -> None:
            if number == 3:
                raise refusal
            super().__setitem__(number, body)

    def begin(upload: str) -> None:
        fake.uploads[upload] = Refusing()

    (tmp_path / "big").write_bytes(b"x" * 3000)
    fake.on_upload = begin
    left: list[Unfinished] = []
    asked = Upload(
        api=fake.api(), progress=lambda moved: None, sleep=never, part=1000, at_once=1,
        left=left.append,
    )  # fmt: skip
    with pytest.raises(ApiError, match=refusal.code):
        put(asked, look(tmp_path), bucket="b", key="p/")
    if stays:
        ((upload, parts),) = fake.uploads.items()
        assert left == [Unfinished(bucket="b", key="p/big", upload=upload)]
        assert sorted(parts) == [1, 2]
    else:
        assert left == []
        assert fake.uploads == {} or refusal.code == "NoSuchUpload"
    assert fake.objects == {}


def test_what_is_not_there_and_what_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no file or folder"):
        look(tmp_path / "none")
    with pytest.raises(ClientError, match="holds no file"):
        look(tmp_path)


def test_a_link_to_a_folder_is_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to("../real")
    (tmp_path / "real" / "again").symlink_to("../data")
    assert [key for key, _ in look(tmp_path / "data").files()] == ["linked/a"]


def test_a_file_that_shrinks_meanwhile_is_no_upload(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 10)
    with pytest.raises(ClientError, match="changed"):
        list(pieces(tmp_path / "big", 11, 4))[2].sums()


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_the_parts_of_a_file_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, length: int
) -> None:
    path = tmp_path_factory.mktemp("parts") / "file"
    path.write_bytes(content)
    parts = [b"".join(piece) for piece in pieces(path, len(content), length)]
    assert b"".join(parts) == content
    assert all(len(part) == length for part in parts[:-1])
