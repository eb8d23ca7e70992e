"""Keys of jobs: what was given is believed as long as its job runs, and nothing else ever is."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.api.keys import Keyring
from trainshed.domain import keys, names
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.testing.jobs import NOON, job
from trainshed.wire.signer import Signer
from trainshed.wire.sigv4 import Sent, read, verify

SECRET = "server secret"
HOUR = timedelta(hours=1)
URL = "http://127.0.0.1:7070/bucket/key"


def running(nodes: int = 2, number: int = 1, **members: object) -> TrainingJob:
    attempt = Attempt(number=number, backend="local", started=NOON)
    return replace(job(nodes=nodes, **members), attempt=attempt)


def over(of: TrainingJob, *, cleaned: bool) -> TrainingJob:
    return replace(of.moved_to(SecondaryStatus.FAILED, at=NOON), cleaned=cleaned)


class Jobs:
    """Records of a few jobs."""

    def __init__(self, *jobs: TrainingJob) -> None:
        self.jobs = {each.id: each for each in jobs}
        self.asked: list[str] = []

    async def by_id(self, job_id: str) -> TrainingJob | None:
        self.asked.append(job_id)
        return self.jobs.get(job_id)


def ring(*jobs: TrainingJob, now: datetime = NOON) -> Keyring:
    return Keyring(own={"TSROOT": "s"}, records=Jobs(*jobs), secret=SECRET, clock=lambda: now)


async def used(given: dict[str, str], known: Keyring, service: str = "s3") -> str:
    """Return how a request that is signed with what was given is answered: "" or an error code."""
    signer = Signer(
        access_key=given["access_key"],
        secret=given["secret_key"],
        region="eu-west-1",
        service=service,
    )
    token = given.get("session_token")
    headers = {"x-amz-security-token": token} if token is not None else {}
    made = signer.sign("GET", URL, headers, b"", NOON)
    sent = Sent(method="GET", path="/bucket/key", query="", headers=made)
    try:
        claim = read(sent)
        assert claim is not None
        key = await known.find(claim.access_key)
        verify(claim, sent, sha256(b"").hexdigest(), key=key, now=NOON)
    except RequestRejected as refused:
        return refused.code
    return ""


NODE = names.node_id(running().id, 1, "algo-2")
HOLDERS = st.builds(
    keys.Key,
    holder=st.sampled_from(keys.Holder),
    job_id=st.text("0123456789abcdef", min_size=12, max_size=12),
    attempt=st.integers(1, 9999),
    host=st.integers(1, 9999).map(lambda rank: f"algo-{rank}"),
    expires=st.none()
    | st.integers(1, 99999999999).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)


@given(HOLDERS)
def test_an_id_tells_all_of_its_key_in_the_letters_that_ids_have(key: keys.Key) -> None:
    assert re.fullmatch("[A-Z0-9]{16,128}", key.id)
    assert keys.read(key.id) == key


@given(HOLDERS, HOLDERS, st.text(min_size=1, max_size=9))
def test_what_belongs_to_two_keys_or_two_servers_is_never_the_same(
    one: keys.Key, other: keys.Key, secret: str
) -> None:
    if one != other:
        assert one.secret(secret) != other.secret(secret)
    assert one.secret(secret) != one.secret(secret + "x")
    if one.holder is keys.Holder.CONTAINER:
        assert one.token(secret) not in {other.token(secret)} or one == other
        assert one.secret(secret) not in one.token(secret)


@given(st.text("TSNODECAIRX0123456789H", max_size=60) | st.text(max_size=60))
def test_no_text_breaks_the_reading_of_ids(text: str) -> None:
    key = keys.read(text)
    assert key is None or key.id == text


@given(
    st.sampled_from([keys.node(NODE), keys.container(NODE, NOON + HOUR)]).map(
        lambda key: key.given(SECRET)
    ),
    st.sampled_from(["access_key", "secret_key", "session_token"]),
    st.integers(0, 200),
    st.sampled_from("ABCXZ0189az-_"),
)
async def test_whatever_is_changed_of_a_key_it_is_refused(
    given: dict[str, str], what: str, place: int, letter: str
) -> None:
    known = ring(running(nodes=9))
    assert await used(given, known) == ""
    text = given.get(what, "")
    if text:
        place %= len(text)
    changed = {**given, what: text[:place] + letter + text[place + 1 :]}
    if what in given and changed != given:
        assert await used(changed, known) in {
            "InvalidAccessKeyId",
            "InvalidToken",
            "SignatureDoesNotMatch",
            "ExpiredToken",
        }


@given(HOLDERS, HOLDERS)
async def test_a_key_renamed_to_another_job_node_or_time_is_refused(
    had: keys.Key, wished: keys.Key
) -> None:
    target = replace(running(nodes=3), id=wished.job_id)
    wished = replace(wished, attempt=1, host="algo-3", expires=NOON + HOUR)
    if had == wished:
        return
    forged = {**had.given(SECRET), "access_key": wished.id}
    assert await used(forged, ring(target)) in {"InvalidToken", "SignatureDoesNotMatch"}


@pytest.mark.parametrize(
    ("service", "expired", "wrong", "unknown"),
    [
        ("s3", "ExpiredToken", "InvalidToken", "InvalidAccessKeyId"),
        ("sts", "ExpiredToken", "InvalidClientTokenId", "InvalidClientTokenId"),
        (
            "sagemaker",
            "ExpiredTokenException",
            "UnrecognizedClientException",
            "UnrecognizedClientException",
        ),
    ],
)
async def test_each_service_has_its_own_words_for_temporary_keys(
    service: str, expired: str, wrong: str, unknown: str
) -> None:
    given = keys.container(NODE, NOON + HOUR).given(SECRET)
    nearly = ring(running(), now=NOON + HOUR - timedelta(seconds=1))
    assert await used(given, nearly, service) == ""
    assert await used(given, ring(running(), now=NOON + HOUR), service) == expired
    without = {name: given[name] for name in ("access_key", "secret_key")}
    assert await used(without, ring(running()), service) == wrong
    assert await used({**given, "session_token": ""}, ring(running()), service) == wrong
    assert await used(given, ring(), service) == unknown


@pytest.mark.parametrize(
    ("now", "of_node", "of_container"),
    [
        (running(), True, True),
        (replace(running(), attempt=None), False, False),
        (running(number=2), False, False),
        (running(nodes=1), False, False),
        (running(EnableNetworkIsolation=True), True, False),
        (over(running(), cleaned=False), True, False),
        (over(running(), cleaned=True), False, False),
    ],
)
async def test_keys_live_as_long_as_their_node(
    now: TrainingJob, of_node: bool, of_container: bool
) -> None:
    assert (await used(keys.node(NODE).given(SECRET), ring(now)) == "") is of_node
    for key in (keys.container(NODE), keys.container(NODE, NOON + HOUR)):
        assert (await used(key.given(SECRET), ring(now)) == "") is of_container


async def test_the_servers_own_key_asks_no_records() -> None:
    records = Jobs()
    known = Keyring(own={"TSROOT": "s"}, records=records, secret=SECRET, clock=lambda: NOON)
    assert await used({"access_key": "TSROOT", "secret_key": "s"}, known) == ""
    assert await used({"access_key": "TSOTHER", "secret_key": "s"}, known) == "InvalidAccessKeyId"
    assert records.asked == []


def test_no_key_of_a_node_is_its_report_token() -> None:
    others = {names.report_token(SECRET, NODE), names.credentials_token(SECRET, NODE)}
    for key in (keys.node(NODE), keys.container(NODE)):
        assert others.isdisjoint(key.given(SECRET).values())
