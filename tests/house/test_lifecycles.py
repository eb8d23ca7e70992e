"""The pictures in docs/lifecycles.md and the tables in the code say the same."""

import re
from pathlib import Path

from trainshed.domain.training import MESSAGES, MOVES, SecondaryStatus

PICTURE = Path(__file__).parents[2] / "docs" / "lifecycles.md"
ARROW = re.compile(r"^\s+(\S+) --> ([^\s:]+)", re.MULTILINE)


def drawn() -> set[tuple[str, str]]:
    return set(ARROW.findall(PICTURE.read_text()))


def test_every_drawn_move_is_lawful_and_every_lawful_move_is_drawn() -> None:
    lawful = {(origin.value, to.value) for origin, targets in MOVES.items() for to in targets}
    assert {pair for pair in drawn() if "[*]" not in pair} == lawful


def test_the_drawn_ends_are_the_statuses_that_nothing_leaves() -> None:
    ends = {origin for origin, to in drawn() if to == "[*]"}
    assert ends == {status.value for status in SecondaryStatus if not MOVES[status]}


def test_every_status_has_its_moves_and_its_wording() -> None:
    assert set(MOVES) == set(MESSAGES) == set(SecondaryStatus)
