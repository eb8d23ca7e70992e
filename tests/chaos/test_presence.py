"""When nobody could answer follows from when each could."""

from trainshed.testing.chaos.book import Outage
from trainshed.testing.chaos.presence import Presence, outages

FOREVER = float("inf")


def presence(*changes: tuple[float, bool]) -> Presence:
    found = Presence()
    for at, answers in changes:
        found.note(answers=answers, at=at)
    return found


def test_nobody_answers_between_the_death_of_one_and_the_next_life() -> None:
    one = presence((1.0, True), (4.0, False), (6.0, True))
    assert outages([one], 0.0) == [Outage(0.0, 1.0), Outage(4.0, 6.0)]


def test_a_server_that_lives_covers_for_one_that_is_dead() -> None:
    one = presence((0.0, True), (4.0, False), (6.0, True))
    other = presence((0.0, True), (6.5, False))
    assert outages([one, other], 0.0) == []


def test_a_death_that_is_noticed_late_counts_from_when_it_was() -> None:
    one = presence((0.0, True), (3.0, False), (5.0, True))
    other = presence((0.0, True), (2.0, False))  # noticed after the other was back
    assert outages([one, other], 0.0) == [Outage(3.0, 5.0)]


def test_who_is_away_for_good_leaves_an_outage_without_end() -> None:
    assert outages([presence((0.0, True), (2.0, False))], 0.0) == [Outage(2.0, FOREVER)]
    assert outages([Presence()], 1.0) == [Outage(1.0, FOREVER)]


def test_a_life_that_ended_before_it_was_seen_to_begin_lasted_no_time() -> None:
    one = presence((5.0, True), (4.0, False), (7.0, True))
    assert outages([one], 5.0) == [Outage(5.0, 7.0)]
