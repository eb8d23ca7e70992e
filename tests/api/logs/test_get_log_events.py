"""GetLogEvents and PutLogEvents, as boto3 and the SageMaker SDK use them."""

import asyncio
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.api.logs.conftest import GROUP, LogServer

from trainshed.api.logs.pages import MAX_BYTES, stream_page
from trainshed.stores.logs.format import encode
from trainshed.stores.logs.segments import Logs

HERE = {"logGroupName": GROUP, "logStreamName": "s"}


def texts(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_events_bear_their_time_and_text(server: LogServer, client: Any) -> None:
    server.write("s", (1000, "a\\b\n\té"), (1000, ""))
    answer = client.get_log_events(**HERE)
    assert answer["events"] == [
        {"timestamp": 1000, "message": "a\\b\n\té", "ingestionTime": 1000},
        {"timestamp": 1000, "message": "", "ingestionTime": 1000},
    ]


def test_reading_forwards_and_backwards_meets_every_line_once(
    server: LogServer, client: Any
) -> None:
    lines = [(n, str(n)) for n in range(10)]
    server.write("s", *lines)
    for head, key in ((True, "nextForwardToken"), (False, "nextBackwardToken")):
        answer = client.get_log_events(**HERE, startFromHead=head, limit=3)
        found: list[list[str]] = []
        while answer["events"]:
            found.append(texts(answer))
            token = answer[key]
            answer = client.get_log_events(**HERE, nextToken=token, limit=3)
        assert answer[key] == token
        pages = found if head else found[::-1]
        assert [text for page in pages for text in page] == [text for _, text in lines]
    turned = client.get_log_events(**HERE, startFromHead=True, limit=3)
    turned = client.get_log_events(**HERE, nextToken=turned["nextForwardToken"], limit=3)
    turned = client.get_log_events(**HERE, nextToken=turned["nextBackwardToken"], limit=3)
    assert texts(turned) == ["0", "1", "2"]


def test_a_forward_token_stays_valid_and_gives_only_later_lines(
    server: LogServer, client: Any
) -> None:
    server.write("s", (1, "a"))
    token = client.get_log_events(**HERE)["nextForwardToken"]
    for n, text in enumerate(["b", "c"]):
        again = client.get_log_events(**HERE, nextToken=token, startFromHead=True)
        assert (texts(again), again["nextForwardToken"]) == ([], token)
        server.write("s", (2 + n, text))
        later = client.get_log_events(**HERE, nextToken=token, startFromHead=True)
        assert texts(later) == [text]
        token = later["nextForwardToken"]


def test_times_select_start_included_end_excluded(server: LogServer, client: Any) -> None:
    server.write("s", *((n, str(n)) for n in (10, 20, 20, 30, 40)))

    def between(**times: int) -> str:
        return " ".join(texts(client.get_log_events(**HERE, **times)))

    assert between(startTime=20) == "20 20 30 40"
    assert between(endTime=20) == "10"
    assert between(startTime=11, endTime=40) == "20 20 30"
    assert between(startTime=20, endTime=20) == ""
    assert between(startTime=41) == ""
    late = client.get_log_events(**HERE, startTime=50, startFromHead=True)
    server.write("s", (60, "60"))
    token = late["nextForwardToken"]
    assert texts(client.get_log_events(**HERE, startTime=50, nextToken=token)) == ["60"]


def test_the_sdks_way_of_asking_again_from_the_last_time_finds_the_rest(
    server: LogServer, client: Any
) -> None:
    """SDK v2 keeps (timestamp, how many of that timestamp it has shown), and no token."""
    shown: list[str] = []
    since, skip = 0, 0
    wanted: list[str] = []
    for n in range(12):
        server.write("s", (n // 5, str(n)))
        wanted.append(str(n))
        answer = client.get_log_events(**HERE, startTime=since, startFromHead=True)
        for event in answer["events"][skip:]:
            shown.append(event["message"])
            skip = skip + 1 if event["timestamp"] == since else 1
            since = event["timestamp"]
    assert shown == wanted


def test_a_page_holds_about_a_mebibyte(server: LogServer, client: Any) -> None:
    server.write("s", *((n, "x" * 100_000) for n in range(25)))
    first = client.get_log_events(**HERE, startFromHead=True)
    assert len(first["events"]) == MAX_BYTES // 100_000
    last = client.get_log_events(**HERE)
    assert last["events"][-1]["timestamp"] == 24
    assert len(last["events"]) == MAX_BYTES // 100_000


@pytest.mark.parametrize(
    "token", ["f/1", "f/9999", "b/1", "x/0", "f", "f/-1", "f/" + "9" * 30, "f/0/0"]
)
def test_a_token_that_fits_no_line_is_refused(server: LogServer, client: Any, token: str) -> None:
    server.write("s", (1, "a"))
    with pytest.raises(ClientError, match="The specified nextToken is invalid"):
        client.get_log_events(**HERE, nextToken=token)


def test_what_was_put_is_read_by_time(server: LogServer, client: Any) -> None:
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(**HERE)
    events = [{"timestamp": ms, "message": f"{ms}\n"} for ms in (30, 10, 20)]
    assert client.put_log_events(**HERE, logEvents=events)["nextSequenceToken"]
    assert texts(client.get_log_events(**HERE)) == ["10\n", "20\n", "30\n"]
    client.put_log_events(**HERE, logEvents=[{"timestamp": 15, "message": "15\n"}])
    assert texts(client.get_log_events(**HERE, startTime=15, endTime=30)) == ["20\n", "15\n"]
    (stream,) = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (10, 30)


def test_events_from_the_future_are_told_and_not_kept(server: LogServer, client: Any) -> None:
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(**HERE)
    events = [{"timestamp": ms, "message": f"{ms}"} for ms in (1, 10**14, 2**63 - 1)]
    answer = client.put_log_events(**HERE, logEvents=events)
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert texts(client.get_log_events(**HERE)) == ["1"]


def test_nothing_can_be_put_into_a_jobs_own_stream(server: LogServer, client: Any) -> None:
    server.write("s", (1, "a"))
    with pytest.raises(ClientError, match=r"InvalidParameterException.*a stream of their own"):
        client.put_log_events(**HERE, logEvents=[{"timestamp": 1, "message": "x"}])
    assert texts(client.get_log_events(**HERE)) == ["a"]


STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), max_size=12)


@given(steps=STEPS, cut=st.integers(1, 8), since=st.integers(0, 3))
async def test_forward_tokens_never_skip_or_repeat_a_line_while_lines_are_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], cut: int, since: int
) -> None:
    logs = Logs(tmp_path_factory.mktemp("logs"), segment_bytes=20)
    times = list(accumulate(wait // 3 for wait, _ in steps))
    file = b"".join(encode(ms, b"%d\n" % n) for n, ms in enumerate(times))
    held = await logs.append("g", "s", 0, file[:cut])
    token: dict[str, str] = {}
    found: list[tuple[int, str]] = []
    for _, limit in [*steps, *[(0, 4)] * len(steps)]:
        reader = await logs.reader("g", "s")
        if reader is not None:
            params = {"startTime": since, "startFromHead": True, "limit": limit, **token}
            page = await asyncio.to_thread(stream_page, reader, params)
            assert len(page["events"]) <= limit
            found += [(event["timestamp"], event["message"]) for event in page["events"]]
            token = {"nextToken": page["nextForwardToken"]}
        held = await logs.append("g", "s", held, file[held : held + cut])
    while held < len(file):
        held = await logs.append("g", "s", held, file[held:])
    reader = await logs.reader("g", "s")
    if reader is not None:
        rest = stream_page(reader, {"startTime": since, "startFromHead": True, **token})
        found += [(event["timestamp"], event["message"]) for event in rest["events"]]
    assert found == [(ms, f"{n}\n") for n, ms in enumerate(times) if ms >= since]


def test_the_command_line_reads_a_stream(server: LogServer, tmp_path: Path) -> None:
    server.write("s", (1, "one"), (2, "two"))
    words = ["get-log-events", "--log-group-name", GROUP, "--log-stream-name", "s"]
    assert server.aws(*words, "--query", "events[].message", "--output", "text") == "one\ttwo\n"
