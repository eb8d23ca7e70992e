import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.fake_server import FakeServer

from trainshed.client.errors import ClientError, JobNotFound
from trainshed.client.references import Named, Newest, parse, pick, resolve, summaries

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(st.integers(1, 10**6 - 1))
def test_minus_n_counts_from_the_newest(n: int) -> None:
    assert parse(f"@-{n}") == Newest(n - 1)


@given(NAMES)
def test_what_does_not_begin_with_at_is_a_name(name: str) -> None:
    assert parse(name) == Named(name)


@pytest.mark.parametrize("text", ["@", "@first", "@-0", "@-", "@-x", "@last2", "@--1", "@-01"])
def test_other_words_after_at_are_refused(text: str) -> None:
    with pytest.raises(ClientError, match="no reference"):
        parse(text)


@given(st.lists(NAMES, unique=True, min_size=1), st.data())
def test_a_full_name_always_means_itself(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    assert pick(name, names) == name


@given(st.lists(NAMES, unique=True), NAMES)
def test_a_prefix_means_the_only_name_it_begins_or_nothing(names: list[str], text: str) -> None:
    meant = [text] if text in names else [name for name in names if name.startswith(text)]
    if len(meant) == 1:
        assert pick(text, names) == meant[0]
    else:
        with pytest.raises(JobNotFound):
            pick(text, names)


def test_references_find_jobs_on_the_server(fake: FakeServer) -> None:
    for name in ("digits-1", "digits-2", "words-1"):
        fake.add_job(name)
    api = fake.api()
    found = {
        text: resolve(api, text)["TrainingJobName"]
        for text in ("@last", "@-1", "@-3", "words", "digits-2")
    }
    assert found == {
        "@last": "words-1",
        "@-1": "words-1",
        "@-3": "digits-1",
        "words": "words-1",
        "digits-2": "digits-2",
    }
    for text in ("digits", "igits", "none", "@-4", "no/name", ""):
        with pytest.raises(JobNotFound):
            resolve(api, text)


def test_summaries_go_on_over_pages_only_as_far_as_asked(fake: FakeServer) -> None:
    for number in range(25):
        fake.add_job(f"job-{number}")
    jobs = summaries(fake.api(), {"MaxResults": 10})
    assert [next(jobs)["TrainingJobName"] for _ in range(11)][-1] == "job-14"
    assert fake.asked.count("ListTrainingJobs") == 2
    assert len(list(jobs)) == 14
