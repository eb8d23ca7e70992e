"""docs/how-to/watch-a-server.md has every metric that a server tells, and no other."""

import re
from pathlib import Path

from trainshed.api.families import FAMILIES
from trainshed.stores.records.survey import REASONS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "watch-a-server.md"
ROW = re.compile(r"^\| `(trainshed_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"\btrainshed_[a-z_]+")
OF_A_HISTOGRAM = ("_bucket", "_count", "_sum")


def test_the_table_is_that_of_the_code() -> None:
    table = [
        (family.name, family.kind, ", ".join(f"`{label}`" for label in family.labels), family.help)
        for family in FAMILIES
    ]
    assert ROW.findall(PAGE.read_text()) == table


def test_alerts_name_metrics_that_there_are() -> None:
    known = {family.name for family in FAMILIES}
    parts = {
        family.name + part
        for family in FAMILIES
        if family.kind == "histogram"
        for part in OF_A_HISTOGRAM
    }
    assert set(NAMED.findall(PAGE.read_text())) <= known | parts


def test_every_class_of_reasons_is_explained() -> None:
    assert [reason for reason in REASONS if f"`{reason}`" not in PAGE.read_text()] == []
