"""The pictures in docs/lifecycles.md and the tables in the code say the same."""

import re
from pathlib import Path

from trainshed.domain.training import MESSAGES, MOVES, SecondaryStatus
from trainshed.operator.deciding.training_job import stages

PICTURE = Path(__file__).parents[2] / "docs" / "lifecycles.md"
ARROW = re.compile(r"^\s+(\S+) --> ([^\s:]+)", re.MULTILINE)


def drawn(heading: str = "Training job") -> set[tuple[str, str]]:
    """Return the arrows below a heading."""
    _, _, after = PICTURE.read_text().partition(f"\n## {heading}\n")
    return set(ARROW.findall(after.partition("\n## ")[0]))


def test_every_drawn_move_is_lawful_and_every_lawful_move_is_drawn() -> None:
    lawful = {(origin.value, to.value) for origin, targets in MOVES.items() for to in targets}
    assert {pair for pair in drawn() if "[*]" not in pair} == lawful


def test_the_drawn_ends_are_the_statuses_that_nothing_leaves() -> None:
    ends = {origin for origin, to in drawn() if to == "[*]"}
    assert ends == {status.value for status in SecondaryStatus if not MOVES[status]}


def test_every_status_has_its_moves_and_its_wording() -> None:
    assert set(MOVES) == set(MESSAGES) == set(SecondaryStatus)


def test_the_stages_of_an_object_are_drawn_as_they_are() -> None:
    picture = drawn("A TrainingJob object of Kubernetes")
    lawful = {(one.value, to.value) for one, targets in stages.MOVES.items() for to in targets}
    assert {pair for pair in picture if "[*]" not in pair} == lawful
    assert {one for one, to in picture if to == "[*]"} == {
        stage.value for stage in stages.Stage if not stages.MOVES[stage]
    }
