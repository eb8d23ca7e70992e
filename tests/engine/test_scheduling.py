"""Who may start: in line, within the backend's nodes, never starving a wide job."""

from hypothesis import given
from hypothesis import strategies as st

from trainshed.drivers.base import Capabilities
from trainshed.engine.scheduling import Request, admit

NODES = 4
BACKENDS = {"local": Capabilities(max_nodes=NODES)}


def test_a_wide_job_at_the_head_is_not_overtaken_by_narrow_ones() -> None:
    line = [Request("wide", "local", 3), Request("narrow", "local", 1)]
    answers = admit(line, {"local": 2}, BACKENDS)
    assert [answer.admitted for answer in answers] == [False, False]
    assert "2 of 4 nodes" in answers[1].reason
    assert "asks for 3" in answers[1].reason


def test_a_job_wider_than_its_backend_is_refused_and_holds_nobody_back() -> None:
    answers = admit([Request("huge", "local", 5), Request("one", "local", 1)], {}, BACKENDS)
    assert "at most 4" in answers[0].hopeless
    assert answers[1].admitted


def test_a_job_for_an_unknown_backend_is_let_through_to_planning() -> None:
    assert admit([Request("lost", "nowhere", 1)], {}, BACKENDS)[0].admitted


@given(st.lists(st.integers(1, 6), max_size=12), st.integers(0, NODES))
def test_admitted_jobs_fit_and_keep_their_order(widths: list[int], used: int) -> None:
    line = [Request(str(index), "local", width) for index, width in enumerate(widths)]
    answers = admit(line, {"local": used}, BACKENDS)
    assert [answer.arn for answer in answers] == [request.arn for request in line]
    given_out = sum(r.nodes for r, a in zip(line, answers, strict=True) if a.admitted)
    assert given_out <= NODES - used or not given_out
    fitting = [a for a in answers if not a.hopeless]
    assert [a.admitted for a in fitting] == sorted((a.admitted for a in fitting), reverse=True)
