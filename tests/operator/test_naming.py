"""How resources are called whose manifests name none."""

import re
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from trainshed.operator.naming import generated_name

UID = "cf1e16fb-10a5-11ea-aa45-0a350733ba06"
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True)
UIDS = st.uuids().map(str)
AT_THE_SERVICE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def test_a_name_is_the_objects_with_its_uid_behind_it() -> None:
    assert generated_name("xgboost-mnist", UID, 63) == (
        "xgboost-mnist-cf1e16fb10a511eaaa450a350733ba06"
    )


def test_a_long_name_is_cut_at_its_end() -> None:
    assert generated_name("n" * 31, UID, 63) == "n" * 30 + "-cf1e16fb10a511eaaa450a350733ba06"


def test_a_tuning_job_is_called_by_its_uid_alone() -> None:
    assert generated_name("xgboost-mnist-hpo", UID, 32) == "cf1e16fb10a511eaaa450a350733ba06"


def test_where_a_single_character_of_the_name_fits_it_is_kept() -> None:
    assert generated_name("tune", UID, 33) == "cf1e16fb10a511eaaa450a350733ba06"
    assert generated_name("tune", UID, 34) == "t-cf1e16fb10a511eaaa450a350733ba06"


def test_a_limit_shorter_than_the_uid_cuts_it() -> None:
    assert generated_name("tune", UID, 10) == "cf1e16fb10"


def test_dots_which_the_service_refuses_become_hyphens() -> None:
    assert generated_name("v1.2", UID, 63) == "v1-2-cf1e16fb10a511eaaa450a350733ba06"


@given(NAMES, UIDS, st.integers(1, 253))
def test_a_name_keeps_to_its_limit_and_to_what_the_service_takes(
    name: str, uid: str, limit: int
) -> None:
    made = generated_name(name, uid, limit)
    assert len(made) <= limit
    assert limit > 63 or AT_THE_SERVICE.fullmatch(made)


@given(NAMES, UIDS, UIDS, st.sampled_from((32, 63)))
def test_objects_of_one_name_are_told_apart(name: str, one: str, other: str, limit: int) -> None:
    same = UUID(one) == UUID(other)
    assert (generated_name(name, one, limit) == generated_name(name, other, limit)) is same
