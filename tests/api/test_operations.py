"""One table of everything that is offered."""

from typing import Any

import pytest

from trainshed.api.operations import offered
from trainshed.wire.message import Call


async def one(call: Call) -> dict[str, Any]:
    return {}


def test_tables_are_merged() -> None:
    table = offered({("sts", "A"): one}, {("iam", "A"): one}, {})
    assert table == {("sts", "A"): one, ("iam", "A"): one}


def test_an_operation_is_offered_once() -> None:
    with pytest.raises(ValueError, match=r"offered twice: \[\('sts', 'A'\)\]"):
        offered({("sts", "A"): one}, {("sts", "A"): one})
