from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.sagemaker.shed import Shed


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Shed]:
    made = Shed(tmp_path)
    yield made
    made.close()
