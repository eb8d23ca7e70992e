"""A download that comes to nothing lets go of what it had asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.downloads import download
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.places import Found, Place, Sending, Sink
from trainshed.stores.objects.remote.troubles import Cancelled

MIB = 1 << 20
ADDRESS = Address("s3", "bkt", "k")
ENTRY = Entry(key="k", size=0, etag="e")
"""Nobody has told how large it is."""


class Zeros:
    """Bytes on their way, that know how often they were let go of."""

    def __init__(self, size: int) -> None:
        self.found = Found(size=size, etag="e")
        self.closed = 0

    def into(self, buffer: memoryview, /) -> int:
        return len(buffer)

    def close(self) -> None:
        self.closed += 1


class OneObject(Place):
    """A bucket with one object of zeros."""

    def __init__(self, size: int, opened: Callable[[], object]) -> None:
        """Call ``opened`` whenever it was asked for."""
        self.readings: list[Zeros] = []
        self._size = size
        self._opened = opened

    def page(self, prefix: str, after: str) -> tuple[list[Entry], bool]:
        return [], False

    def head(self, key: str) -> Found:
        return Found(size=self._size, etag="e")

    def open(self, key: str, offset: int, end: int | None, etag: str) -> Zeros:
        self.readings.append(Zeros(self._size))
        self._opened()
        return self.readings[-1]

    def delete(self, key: str) -> None:
        raise StoreError("read-only")

    def upload(
        self,
        key: str,
        write: Callable[[Sink], None],
        headers: object,
        sending: Sending,
    ) -> None:
        raise StoreError("read-only")

    def abort(self, key: str, upload: str) -> None:
        raise StoreError("read-only")


def bring(place: Place, target: Path, **changes: Any) -> None:
    how = {"patience": Patience(), "arrived": lambda _: None, **changes}
    download(place, ADDRESS, target, entry=ENTRY, **how)


def full(count: int) -> None:
    raise OSError("as full as a disk can be")


@pytest.mark.parametrize("size", [10, 40 * MIB])
def test_who_wants_no_more_as_soon_as_the_answer_is_there_keeps_no_connection(
    tmp_path: Path, size: int
) -> None:
    over: list[bool] = []
    place = OneObject(size, lambda: over.append(True))
    with pytest.raises(Cancelled):
        bring(place, tmp_path / "k", patience=Patience(cancelled=lambda: bool(over)))
    assert place.readings
    assert all(each.closed for each in place.readings)


def test_who_cannot_tell_how_far_it_came_keeps_no_connection(tmp_path: Path) -> None:
    place = OneObject(40 * MIB, lambda: None)
    with pytest.raises(OSError, match="as full as"):
        bring(place, tmp_path / "k", arrived=full)
    assert place.readings
    assert all(each.closed for each in place.readings)


@pytest.mark.parametrize("size", [10, 40 * MIB])
def test_what_can_not_be_written_keeps_no_connection(tmp_path: Path, size: int) -> None:
    place = OneObject(size, lambda: None)
    with pytest.raises(FileNotFoundError):
        bring(place, tmp_path / "nowhere/k")
    assert place.readings
    assert all(each.closed for each in place.readings)
