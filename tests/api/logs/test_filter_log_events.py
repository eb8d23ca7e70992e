"""FilterLogEvents, as boto3 and ``aws logs tail`` use it."""

import tracemalloc
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.api.logs.conftest import GROUP, LogServer

from trainshed.api.logs.patterns import parse
from trainshed.api.logs.search import Search, search_page
from trainshed.domain.errors import RequestRejected
from trainshed.stores.logs.format import encode
from trainshed.stores.logs.segments import Logs


def found(client: Any, **wanted: Any) -> str:
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=GROUP, **wanted)
    return " ".join(event["message"] for page in pages for event in page["events"])


def test_streams_are_interleaved_by_time(server: LogServer, client: Any) -> None:
    server.write("j/algo-1-5", (1, "a"), (4, "d"), (5, "e"))
    server.write("j/algo-2-5", (2, "b"), (3, "c"), (5, "f"))
    server.write("k/algo-1-5", (3, "x"))
    assert found(client) == "a b c x d e f"
    assert found(client, startFromHead=False) == "f e d x c b a"
    assert found(client, logStreamNamePrefix="j/") == "a b c d e f"
    assert found(client, logStreamNames=["k/algo-1-5", "j/algo-2-5"]) == "b c x f"
    assert found(client, startTime=3, endTime=5) == "c x d"
    for size in (1, 2, 3):
        assert found(client, PaginationConfig={"PageSize": size}) == "a b c x d e f"
    last = client.filter_log_events(logGroupName=GROUP, limit=7)
    assert "nextToken" not in last


def test_events_say_where_they_come_from(server: LogServer, client: Any) -> None:
    server.write("s", (7, "a"))
    (event,) = client.filter_log_events(logGroupName=GROUP)["events"]
    assert event.pop("eventId")
    assert event == {
        "logStreamName": "s",
        "timestamp": 7,
        "message": "a",
        "ingestionTime": 7,
    }


def test_event_ids_are_stable_and_unique(server: LogServer, client: Any) -> None:
    for stream in ("s", "t"):
        server.write(stream, *((7, "same") for _ in range(20)))
    first, again = (client.filter_log_events(logGroupName=GROUP)["events"] for _ in range(2))
    assert first == again
    assert len({event["eventId"] for event in first}) == 40


def test_following_as_the_command_line_does_shows_every_line_once(
    server: LogServer, client: Any
) -> None:
    """``aws logs tail --follow`` asks again from the newest time, and drops ids it has seen."""
    shown: list[str] = []
    seen: defaultdict[int, set[str]] = defaultdict(set)
    asked: dict[str, Any] = {"logGroupName": GROUP, "startTime": 0, "limit": 2}
    wanted = []
    for n in range(9):
        server.write(f"s{n % 2}", (n // 4, str(n)))
        wanted.append(str(n))
        while True:
            answer = client.filter_log_events(**asked)
            for event in answer["events"]:
                if event["eventId"] not in seen[event["timestamp"]]:
                    seen[event["timestamp"]].add(event["eventId"])
                    shown.append(event["message"])
            if "nextToken" not in answer:
                break
            asked["nextToken"] = answer["nextToken"]
        asked.pop("nextToken", None)
        asked["startTime"] = max(seen)
    assert shown == wanted


def test_events_put_out_of_order_are_found_by_time(server: LogServer, client: Any) -> None:
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName="s")
    for ms in (30, 10, 20):
        event = {"timestamp": ms, "message": str(ms)}
        client.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=[event])
    server.write("t", (15, "15"))
    assert found(client) == "10 15 20 30"
    assert found(client, PaginationConfig={"PageSize": 1}, startTime=11, endTime=30) == "15 20"
    assert found(client, PaginationConfig={"PageSize": 1}, startFromHead=False) == "30 20 15 10"


async def test_of_a_stream_out_of_order_a_page_holds_no_more_than_it_shows(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    await logs.create_group("g", 1)
    await logs.create_stream("g", "s", 1)
    await logs.put("g", "s", [(10**6, "last")])
    await logs.put("g", "s", [(ms, "x" * 100) for ms in range(60_000)])
    readers = await logs.readers("g", ["s"])
    for forwards, first in ((True, 0), (False, 10**6)):
        search = Search.of({"limit": 5, "startFromHead": forwards})
        tracemalloc.start()
        page = search_page(readers, search)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert page["events"][0]["timestamp"] == first
        assert len(page["events"]) == 5
        assert most < 2 * 1024 * 1024


LINES = ["an ERROR: disk full", "a WARN: disk slow", 'say "hi" full of ERROR', "-x ?y"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("", [0, 1, 2, 3]),
        ("  ", [0, 1, 2, 3]),
        ("ERROR", [0, 2]),
        ("error", []),
        ("ERROR disk", [0]),
        ('"disk full"', [0]),
        ('"disk full" ERROR', [0]),
        ("disk -WARN", [0]),
        ('-"disk full"', [1, 2, 3]),
        ("?WARN ?hi", [1, 2]),
        ("?WARN ?hi -slow", [2]),
        ('?WARN ?"disk full" disk', [0, 1]),
        ('"say \\"hi\\""', [2]),
        ('"-x"', [3]),
        ('"?y"', [3]),
        ("WARN:", [1]),
        ("-", [3]),
    ],
)
def test_a_pattern_finds_what_it_says(pattern: str, wanted: list[int]) -> None:
    matches = parse(pattern).matches
    assert [n for n, line in enumerate(LINES) if matches(line)] == wanted


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ('{ $.level = "error" }', "JSON patterns are not offered"),
        ("[ip, user]", "space-delimited patterns are not offered"),
        ("%err.*%", "regular expressions are not offered"),
        ('ok "never closed', "no term begins at character 4"),
        ('"a"b', "a quote may be missing"),
    ],
)
def test_a_pattern_that_is_not_offered_is_refused_in_clear_words(pattern: str, says: str) -> None:
    with pytest.raises(RequestRejected, match=says) as error:
        parse(pattern)
    assert error.value.code == "InvalidParameterException"


@given(st.text())
def test_any_pattern_is_understood_or_refused(pattern: str) -> None:
    try:
        parse(pattern).matches("text")
    except RequestRejected as error:
        assert error.code == "InvalidParameterException"


def test_patterns_and_refusals_reach_the_client(server: LogServer, client: Any) -> None:
    server.write("s", *enumerate(LINES))
    assert found(client, filterPattern="?WARN ?hi -slow") == LINES[2]
    refused: list[dict[str, Any]] = [
        {"filterPattern": "{ $.a = 1 }"},
        {"logStreamNames": ["s"], "logStreamNamePrefix": "s"},
        {"nextToken": "f/x"},
        {"nextToken": "f/x/y/z"},
        {"logGroupIdentifier": GROUP},
    ]
    for given_params in refused:
        with pytest.raises(ClientError, match="InvalidParameterException"):
            client.filter_log_events(logGroupName=GROUP, **given_params)


@given(
    events=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from("abc"), st.sampled_from(["hit", "miss"])),
        max_size=20,
    ),
    limit=st.integers(1, 4),
    start=st.integers(0, 6),
    end=st.none() | st.integers(0, 7),
    descending=st.booleans(),
    by_put=st.sampled_from(["", "a", "ab"]),
)
async def test_pages_of_a_search_laid_end_to_end_equal_sorting_in_python(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, str, str]],
    limit: int,
    start: int,
    end: int | None,
    descending: bool,
    by_put: str,
) -> None:
    logs = Logs(tmp_path_factory.mktemp("logs"), segment_bytes=30)
    await logs.create_group("g", 0)
    for stream in by_put:
        await logs.create_stream("g", stream, 0)
    kept = events if by_put else sorted(events, key=lambda event: event[0])
    order: list[tuple[int, str, int, str]] = []
    for n, (ms, stream, text) in enumerate(kept):
        if stream in by_put:
            await logs.put("g", stream, [(ms, f"{text} {n}")])
            order.append((ms, stream, n, text))
        else:
            line = encode(10 + n, f"{text} {n}".encode())  # agents' times never decrease
            held = await logs.held("g", stream)
            await logs.append("g", stream, held, line)
            order.append((10 + n, stream, n, text))
    start, end = start * 3, None if end is None else end * 3
    wanted = [
        f"{text} {n}"
        for ms, _, n, text in sorted(order, reverse=descending)
        if text == "hit" and ms >= start and (end is None or ms < end)
    ]
    params: dict[str, Any] = {
        "limit": limit,
        "startTime": start,
        "filterPattern": "hit",
        "startFromHead": not descending,
    }
    if end is not None:
        params["endTime"] = end
    got: list[str] = []
    while True:
        readers = await logs.readers("g", ["a", "b", "c"])
        page = search_page(readers, Search.of(params))
        assert len(page["events"]) <= limit
        got += [event["message"] for event in page["events"]]
        if "nextToken" not in page:
            break
        params["nextToken"] = page["nextToken"]
    assert got == wanted


def test_the_command_line_searches_a_group(server: LogServer) -> None:
    server.write("j/algo-1-5", (1, "one"))
    server.write("j/algo-2-5", (2, "two"))
    words = ["filter-log-events", "--log-group-name", GROUP, "--page-size", "1"]
    assert server.aws(*words, "--query", "events[].message", "--output", "text") == "one\ntwo\n"


def test_a_rare_match_is_found_over_pages_that_may_be_empty(server: LogServer, client: Any) -> None:
    server.write("s", *((n, "x" * 200_000) for n in range(200)), (200, "rare"))
    first = client.filter_log_events(logGroupName=GROUP, filterPattern="rare")
    assert first["events"] == []
    assert "nextToken" in first
    assert found(client, filterPattern="rare") == "rare"
