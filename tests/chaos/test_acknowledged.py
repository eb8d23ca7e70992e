"""What servers acknowledged is kept outside of them, and of the agents that heard it."""

from pathlib import Path

from trainshed.domain.facts import Fact, Kind
from trainshed.testing.faults import acknowledged
from trainshed.testing.faults.acknowledged import Acknowledged

NODE = "0123456789ab.1.algo-1"
FACTS = [Fact(n, float(n), Kind.PULLING, {"x": n}) for n in (1, 2, 3)]


def test_each_node_has_its_facts_and_its_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "acknowledged"
    kept = Acknowledged(folder, NODE)
    kept.note_facts(FACTS[:2])
    kept.note_bytes(0, b"1 first\n")
    kept.note_bytes(8, b"2 second\n")
    Acknowledged(folder, "other").note_facts(FACTS[:1])
    assert acknowledged.facts(folder) == {
        NODE: {1: FACTS[0], 2: FACTS[1]},
        "other": {1: FACTS[0]},
    }
    assert acknowledged.logs(folder) == {NODE: b"1 first\n2 second\n"}


def test_an_agent_that_starts_over_hears_it_again_and_it_is_there_once(tmp_path: Path) -> None:
    for _ in range(2):
        kept = Acknowledged(tmp_path, NODE)
        kept.note_facts(FACTS)
        kept.note_bytes(0, b"1 first\n")
    assert acknowledged.facts(tmp_path) == {NODE: {fact.n: fact for fact in FACTS}}
    assert acknowledged.logs(tmp_path) == {NODE: b"1 first\n"}


def test_a_line_that_a_kill_cut_short_does_not_count(tmp_path: Path) -> None:
    Acknowledged(tmp_path, NODE).note_facts(FACTS[:1])
    with (tmp_path / f"{NODE}.facts").open("a") as file:
        file.write('{"n": 2, "at"')
    assert acknowledged.facts(tmp_path) == {NODE: {1: FACTS[0]}}
    Acknowledged(tmp_path, NODE).note_facts(FACTS)
    assert set(acknowledged.facts(tmp_path)[NODE]) == {1, 2, 3}


def test_where_nothing_was_acknowledged_nothing_is_found(tmp_path: Path) -> None:
    Acknowledged(tmp_path, NODE).note_facts([])
    assert acknowledged.facts(tmp_path) == {}
    assert acknowledged.logs(tmp_path / "missing") == {}
