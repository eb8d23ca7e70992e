"""Uploads in parts that nobody finishes."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from trainshed.domain.errors import StoreError
from trainshed.engine.expiry import Expiry
from trainshed.stores.objects.info import Attributes, Upload

NOON = datetime(2026, 1, 9, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


class Uploads:
    """Uploads in memory; the disk may refuse once."""

    def __init__(self, *ages: timedelta, full: bool = False) -> None:
        self.left = [
            Upload(id=str(n), bucket="bkt", key=f"k{n}", started=NOON - age,
                   checksum="", attributes=Attributes())
            for n, age in enumerate(ages)
        ]  # fmt: skip
        self.full = full
        self.asked = asyncio.Event()

    async def abort_begun_before(self, moment: datetime) -> Sequence[Upload]:
        self.asked.set()
        if self.full:
            raise StoreError("no room")
        old = [each for each in self.left if each.started < moment]
        self.left = [each for each in self.left if each not in old]
        return old


async def test_what_is_older_than_the_setting_is_given_up_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    uploads = Uploads(timedelta(days=8), timedelta(days=6))
    with caplog.at_level(logging.WARNING):
        await Expiry(uploads, lambda: NOON, WEEK).look()
    assert [each.key for each in uploads.left] == ["k1"]
    assert "s3://bkt/k0 that was begun at 2026-01-01T12:00:00+00:00" in caplog.text


async def test_a_full_disk_does_not_end_the_looking(caplog: pytest.LogCaptureFixture) -> None:
    uploads = Uploads(full=True)
    running = asyncio.create_task(Expiry(uploads, lambda: NOON, WEEK).run())
    async with asyncio.timeout(20):
        await uploads.asked.wait()
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    assert "could not be given up this time" in caplog.text


async def test_zero_days_give_nothing_up() -> None:
    uploads = Uploads(timedelta(days=1000))
    await Expiry(uploads, lambda: NOON, timedelta()).run()
    assert not uploads.asked.is_set()
