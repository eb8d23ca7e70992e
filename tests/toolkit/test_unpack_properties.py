"""No archive at all, however made, changes or reaches anything outside its folder."""

import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.toolkit.conftest import file, tar_of

from trainshed.toolkit import unpack
from trainshed.toolkit.failure import ToolkitError

parts = st.sampled_from(["a", "b", "c", "..", ".", "", "outside"])
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
)
members = st.lists(
    st.builds(
        lambda name, kind, to: file(
            name,
            b"evil" if kind == tarfile.REGTYPE else b"",
            type=kind,
            linkname=to if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "",
            mode=0o755,
        ),
        names,
        kinds,
        names,
    ),
    max_size=7,
)


@settings(max_examples=200, deadline=None)
@given(members)
def test_nothing_outside_is_written_or_linked(
    content: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        folder = base / "deep" / "code"
        folder.mkdir(parents=True)
        (base / "outside").write_text("mine")
        archive = tar_of(base / "s.tar.gz", *content)
        try:
            unpack.unpack(archive, folder)
        except ToolkitError:
            pass
        else:
            for path in folder.rglob("*"):
                assert Path(os.path.realpath(path)).is_relative_to(folder)
        assert (base / "outside").read_text() == "mine"
        assert (base / "outside").stat().st_nlink == 1
        assert {entry.name for entry in base.iterdir()} == {"deep", "outside", "s.tar.gz"}
        assert [entry.name for entry in (base / "deep").iterdir()] == ["code"]
