"""What is typed is read as kubectl reads it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.operator.kinds.table import KINDS
from trainshed.operator.smlogs import subjects, words
from trainshed.operator.smlogs.subjects import PROCESSING, SUBJECTS, TRAINING, TRANSFORM, Mistyped

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON = int(NOW.timestamp() * 1000)


def asked(line: str) -> words.Asked:
    return words.read(line.split(), NOW)


@pytest.mark.parametrize(
    "kind",
    [
        *("TrainingJob", "Trainingjob", "trainingjob", "trainingjobs", "TrainingJobs", "tj"),
        *("trainingjobs.sagemaker.aws.amazon.com", "trainingjobs.v1.sagemaker.aws.amazon.com"),
    ],
)
def test_a_training_job_may_be_spelled_in_any_way(kind: str) -> None:
    assert asked(f"{kind} digits").subject is TRAINING


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("BatchTransformJob", TRANSFORM),
        ("batchtransformjobs", TRANSFORM),
        ("BatchtransformJobs", TRANSFORM),
        ("ProcessingJob", PROCESSING),
        ("pj", PROCESSING),
    ],
)
def test_other_kinds_too(kind: str, subject: subjects.Subject) -> None:
    assert asked(f"{kind} digits").subject is subject


@pytest.mark.parametrize("kind", ["HyperParameterTuningJob", "hyperparametertuningjobs", "hpo"])
def test_a_tuning_job_points_to_its_training_jobs(kind: str) -> None:
    with pytest.raises(Mistyped, match="its training jobs do") as refused:
        asked(f"{kind} digits")
    assert "kubectl get trainingjobs" in refused.value.remedy


def test_names_and_columns_are_those_of_the_resource_definitions() -> None:
    for subject in SUBJECTS:
        kind = KINDS[subject.kind]
        assert kind.plural == subject.plural
        assert set(kind.short_names) <= set(subject.short)
        assert (kind.spec_name, kind.status_name) == (subject.spec_name, subject.status_name)
        assert kind.status_state == subject.status
        assert kind.name_member == subject.name_member


def test_options_stand_anywhere() -> None:
    for line in ("-n lab tj digits -f", "tj -f -n lab digits", "tj digits -f --namespace=lab"):
        found = asked(line)
        assert (found.name, found.follow, found.place.namespace) == ("digits", True, "lab")


def test_kind_and_name_may_be_one_word() -> None:
    assert asked("trainingjob/digits").name == "digits"


def test_what_is_not_said_is_as_it_always_was() -> None:
    found = asked("tj digits")
    assert (found.follow, found.shows_stream, found.shows_time) == (False, True, True)
    assert (found.since, found.tail, found.hosts, found.last_attempt) == (None, None, "", False)


def test_a_switch_takes_true_or_false() -> None:
    found = asked("tj digits --timestamps=false --hide-log-stream-name=true -f=1 --follow=false")
    assert (found.shows_time, found.shows_stream, found.follow) == (False, False, False)


def test_first_options_of_the_log_mean_what_they_meant() -> None:
    found = asked("TrainingJob digits --hide-log-stream-name --follow -p algo-4")
    assert (found.shows_stream, found.follow, found.hosts) == (False, True, "algo-4")
    assert asked("tj digits --logSearchPrefix algo-4").hosts == "algo-4"


def test_a_beginning_is_said_in_either_way() -> None:
    assert asked("tj digits --since 1h30m").since == NOON - 5_400_000
    assert asked("tj digits --since-time 2026-01-01T11:59:00Z").since == NOON - 60_000
    assert asked("tj digits --since-time 2026-01-01T13:00:00+02:00").since == NOON - 3_600_000
    assert asked("tj digits --since 0").since is None


def test_a_tail_below_nothing_is_everything() -> None:
    assert asked("tj digits --tail -1").tail is None
    assert asked("tj digits --tail=0").tail == 0


def test_the_cluster_is_said_as_to_kubectl() -> None:
    place = asked(
        "tj digits --context c --kubeconfig k -s https://a --as me --as-group x --as-group y "
        "--token t --insecure-skip-tls-verify --cluster q --user u"
    ).place
    assert (place.context, place.kubeconfig, place.server) == ("c", "k", "https://a")
    assert (place.impersonate, place.impersonate_groups) == ("me", ("x", "y"))
    assert (place.token, place.insecure, place.cluster, place.user) == ("t", True, "q", "u")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "found: nothing"),
        ("tj", "the name is missing"),
        ("tj a b", "found: tj a b"),
        ("model a", "'model' is no kind that has a log"),
        ("tj a --since soon", "'soon' is no duration"),
        ("tj a --since 10", "'10' is no duration"),
        ("tj a --since-time noon", "'noon' is no time"),
        ("tj a --since-time 2026-01-01T12:00:00", "says no zone"),
        ("tj a --since 1h --since-time 2026-01-01T12:00:00Z", "only one"),
        ("tj a --tail many", "invalid int value"),
        ("tj a -f=maybe", "neither true nor false"),
        ("tj a --fol", "unrecognized arguments"),
    ],
)
def test_nonsense_is_refused_and_named(line: str, says: str) -> None:
    with pytest.raises(Mistyped) as refused:
        asked(line)
    assert says in str(refused.value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(
    hours: int, minutes: int, seconds: int, ms: int
) -> None:
    wanted = timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=ms)
    text = f"{hours}h{minutes}m{seconds}s{ms}ms"
    assert abs(words.duration(text) - wanted) <= timedelta(microseconds=1)
