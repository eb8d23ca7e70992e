"""A server killed at any point leaves the old object or the new, and no litter after a sweep."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.stores.objects.embedded_fixtures import chunks, content, files, opened

from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.embedded import EmbeddedObjects

ROOT = Path(__file__).parents[3]


def killed_while(folder: Path, what: str, point: str) -> None:
    """Let another process do ``what`` and die at ``point``."""
    program = [sys.executable, "-m", "tests.stores.objects.dying_writer"]
    ended = subprocess.run(
        [*program, str(folder), what, point], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


async def found(store: EmbeddedObjects) -> bytes | None:
    try:
        return await content(store, "bkt", "k")
    except ObjectMissing:
        return None


@pytest.mark.parametrize(
    ("what", "point", "left"),
    [
        ("put", "os.rename", b"old"),
        ("put", "write", b"old"),
        ("put", "commit", b"old"),
        ("put", "os.remove", b"new"),
        ("put", "end", b"new"),
        ("copy", "write", b"old"),
        ("copy", "commit", b"old"),
        ("copy", "os.remove", b"new"),
        ("copy", "end", b"new"),
        ("delete", "write", b"old"),
        ("delete", "commit", b"old"),
        ("delete", "os.remove", None),
        ("delete", "end", None),
        ("complete", "os.rename", b"old"),
        ("complete", "write", b"old"),
        ("complete", "commit", b"old"),
        ("complete", "os.remove", b"new"),
        ("complete", "end", b"new"),
    ],
)
async def test_a_kill_leaves_the_old_object_or_the_new(
    tmp_path: Path, what: str, point: str, left: bytes | None
) -> None:
    killed_while(tmp_path, what, point)
    with opened(tmp_path) as store:
        assert await found(store) == left
        await store.sweep()
        assert await found(store) == left
        assert await content(store, "bkt", "source") == b"new"
        completed = what == "complete" and left == b"new"
        uploads = await store.uploads.list("bkt")
        assert len(uploads) == (0 if completed else 1)
        for part in [part for upload in uploads for part in await store.uploads.parts(upload)]:
            assert (tmp_path / "objects" / part.file[:2] / part.file).stat().st_size == part.size
        named = {part.file for upload in uploads for part in await store.uploads.parts(upload)}
        for listed in (await store.list("bkt")).objects:
            named.add((await store.info("bkt", listed.key)).file)
        assert {path.name for path in files(tmp_path)} == named
        await store.put("bkt", "k", chunks(b"later"))
        assert await found(store) == b"later"
