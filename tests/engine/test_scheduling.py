"""Who may start: in line, within the backend's nodes, never starving a wide job."""

from hypothesis import given
from hypothesis import strategies as st

from trainshed.drivers.base import Capabilities
from trainshed.engine.scheduling import Admission, Request, admit

FOUR = Capabilities(max_nodes=4)


def test_a_wide_job_at_the_head_is_not_overtaken_by_narrow_ones() -> None:
    turn = admit([Request("wide", 3), Request("narrow", 1)], 2, "local", FOUR)
    assert turn.answers == {}
    assert "2 of 4 nodes" in turn.reason
    assert "asks for 3" in turn.reason


def test_a_job_wider_than_its_backend_is_refused_and_holds_nobody_back() -> None:
    turn = admit([Request("huge", 5), Request("one", 1)], 0, "local", FOUR)
    assert "at most 4" in turn.answers["huge"].hopeless
    assert turn.answers["one"] == Admission(admitted=True)


@given(st.lists(st.integers(1, 6), max_size=12), st.integers(0, 4))
def test_admitted_jobs_fit_and_are_the_head_of_the_line(widths: list[int], used: int) -> None:
    line = [Request(str(index), width) for index, width in enumerate(widths)]
    turn = admit(line, used, "local", FOUR)
    admitted = [request for request in line if turn.answers.get(request.arn) == Admission(True)]
    assert sum(request.nodes for request in admitted) <= 4 - used
    answered = [request.arn for request in line if request.arn in turn.answers]
    assert answered == [request.arn for request in line[: len(answered)]]
    if len(answered) < len(line):
        taken = used + sum(request.nodes for request in admitted)
        assert taken + line[len(answered)].nodes > 4
        assert turn.reason
