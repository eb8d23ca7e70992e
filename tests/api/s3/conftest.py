"""A store with one bucket, ``bkt``."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.api.s3.calls import Caller
from tests.stores.objects.embedded_fixtures import opened


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[Caller]:
    with opened(tmp_path) as store:
        caller = Caller(store)
        await caller("CreateBucket", Bucket="bkt")
        yield caller
