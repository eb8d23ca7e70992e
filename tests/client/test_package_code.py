import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.client.errors import ClientError
from trainshed.client.package_code import pack
from trainshed.contract import archives


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def packed(root: Path, tmp_path: Path, **options: list[Path]) -> list[str]:
    return list(pack(root, tmp_path / "code.tar.gz", **options).files)


def test_what_the_ignore_files_name_is_left_out(tmp_path: Path) -> None:
    root = write(
        tmp_path / "src",
        {
            ".gitignore": "*.csv\nout/\n/only-here.py\n",
            ".trainshedignore": "notes.md\n!keep.csv\n",
            "train.py": "",
            "big.csv": "",
            "keep.csv": "",
            "notes.md": "",
            "only-here.py": "",
            "out/a.py": "",
            "lib/only-here.py": "",
            "lib/.gitignore": "secret.py\n!inner.csv\n",
            "lib/secret.py": "",
            "lib/inner.csv": "",
            "lib/other.csv": "",
        },
    )
    assert packed(root, tmp_path) == [
        ".gitignore",
        ".trainshedignore",
        "keep.csv",
        "lib/.gitignore",
        "lib/inner.csv",
        "lib/only-here.py",
        "train.py",
    ]


def test_version_control_caches_and_environments_are_left_out(tmp_path: Path) -> None:
    root = write(
        tmp_path / "src",
        {
            "train.py": "",
            ".git/HEAD": "",
            "__pycache__/train.cpython-311.pyc": "",
            "old.pyc": "",
            "myenv/pyvenv.cfg": "",
            "server/trainshed.db": "",
            "server/credentials.json": "",
            "myenv/bin/python": "",
        },
    )
    assert packed(root, tmp_path) == ["train.py"]


def test_data_that_goes_its_own_way_is_left_out(tmp_path: Path) -> None:
    root = write(tmp_path / "src", {"train.py": "", "data/a.csv": "", "b.csv": ""})
    left = [root / "data", root / "." / "b.csv"]
    assert packed(root, tmp_path, leave_out=left) == ["train.py"]


def test_links_to_files_are_packed_as_files_and_links_to_folders_are_not(tmp_path: Path) -> None:
    root = write(tmp_path / "src", {"train.py": "print(1)"})
    (root / "alias.py").symlink_to("train.py")
    (root / "loop").symlink_to(".")
    (root / "broken").symlink_to("nowhere")
    assert packed(root, tmp_path) == ["alias.py", "train.py"]
    with tarfile.open(tmp_path / "code.tar.gz") as tar:
        assert all(member.isreg() for member in tar)


def test_too_much_is_refused_and_the_biggest_files_are_named(tmp_path: Path) -> None:
    root = write(tmp_path / "src", {"train.py": "", "weights.bin": "x" * 2000})
    with pytest.raises(ClientError, match=r"weights\.bin") as caught:
        pack(root, tmp_path / "code.tar.gz", limit=1000)
    assert ".trainshedignore" in caught.value.remedy
    assert not (tmp_path / "code.tar.gz").exists()


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no file"):
        packed(write(tmp_path / "src", {".gitignore": "*"}), tmp_path)
    with pytest.raises(ClientError, match="not a folder"):
        packed(tmp_path / "none", tmp_path)


NAME = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}\.py", fullmatch=True)


@settings(max_examples=25)
@given(files=st.dictionaries(NAME, st.text(max_size=20), min_size=1, max_size=6))
def test_the_same_folder_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    base = tmp_path_factory.mktemp("twice")
    one = write(base / "one", files)
    two = write(base / "two", dict(reversed(files.items())))
    for number, name in enumerate(files):
        os.utime(two / name, (number, number))
    first = pack(one, base / "one.tar.gz")
    second = pack(two, base / "elsewhere.tar.gz")
    assert first.digest == second.digest
    (base / "back").mkdir()
    archives.unpack(first.path, base / "back")
    found = {name: (base / "back" / name).read_text() for name in first.files}
    assert found == {name: (one / name).read_text() for name in files}


def test_a_link_that_leads_to_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print()")
    (tmp_path / "again").symlink_to(tmp_path / "again")
    packed = pack(tmp_path, tmp_path.parent / "code.tar.gz")
    assert packed.files == ("train.py",)
