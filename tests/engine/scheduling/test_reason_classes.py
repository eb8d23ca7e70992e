"""What those are told who wait is told apart by the metrics, too."""

import pytest

from trainshed.engine.scheduling import texts
from trainshed.engine.scheduling.answers import Reason
from trainshed.engine.scheduling.values import Need, Place, Project
from trainshed.stores.records.survey import REASONS, class_of

PLACE = Place(name="project-quota", nodes=4, max_launching=2)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (texts.capacity(PLACE, Need(types=(), nodes=2), ()), "capacity"),
        (texts.launching(PLACE), "launching"),
        (texts.cooling("project-quota", "ml.p4d.24xlarge"), "refused"),
        (texts.of_quota(Project(name="vision", max_jobs=3), "jobs"), "quota"),
        (texts.of_quota(Project(name="", max_nodes=3), "nodes"), "quota"),
    ],
)
def test_each_reason_has_its_class(reason: Reason, expected: str) -> None:
    assert class_of(reason.text) == reason.kind.partition("/")[0] == expected
    assert expected in REASONS


def test_a_reason_that_nobody_knows_is_told_as_such() -> None:
    assert class_of("the moon is full") == "other"
