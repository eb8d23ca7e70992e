"""What botocore writes we read, what we write it reads: operations sampled from every service."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.wire.botocore_oracle import answer_by_botocore, request_from_botocore
from tests.wire.strategies import values

from trainshed.wire.message import Reply
from trainshed.wire.model import SERVICES, Ref, ServiceModel, load
from trainshed.wire.protocols import operation_of, parse, render

REPLACED = {
    # Same method and path as their successor, which answers for them.
    "GetBucketLifecycle",
    "GetBucketNotification",
    "PutBucketLifecycle",
    "PutBucketNotification",
    "ListDirectoryBuckets",
}
NOT_WRITTEN = {
    "WriteGetObjectResponse",  # botocore puts a parameter into the host
    "GetBucketLocation",  # botocore's parser needs its event hooks for this one
    "GetSSHPublicKey",  # a pattern whose words Hypothesis does not find at their length
    "UploadSSHPublicKey",
}

EXAMPLES = {"sagemaker": 150, "s3": 150}


def sampled(service: str) -> settings:
    return settings(
        max_examples=EXAMPLES.get(service, 40),
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def operations(model: ServiceModel) -> st.SearchStrategy[str]:
    names = set(model.operations) - REPLACED - NOT_WRITTEN
    return st.sampled_from(sorted(name for name in names if not streams_events(model, name)))


def streams_events(model: ServiceModel, name: str) -> bool:
    ref = model.operation(name).output
    members = model.shape_of(ref).members.values() if ref else ()
    return any(model.shape_of(member).eventstream for member in members)


def drawn(data: st.DataObject, model: ServiceModel, ref: Ref | None) -> dict[str, Any]:
    found: dict[str, Any] = data.draw(values(model, ref)) if ref else {}
    return found


def without_nothing(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what botocore fills in for absent payloads and maps of headers."""
    return {name: value for name, value in result.items() if value not in ({}, b"", "")}


@pytest.mark.parametrize("service", SERVICES)
def test_what_botocore_sends_is_what_we_read(service: str) -> None:
    model = load(service)

    @sampled(service)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        operation = data.draw(operations(model))
        params = drawn(data, model, model.operation(operation).input)
        request = request_from_botocore(service, operation, params)
        assert operation_of(model, request) == operation
        assert parse(model, operation, request) == params

    check()


@pytest.mark.parametrize("service", SERVICES)
def test_what_we_answer_is_what_botocore_reads(service: str) -> None:
    model = load(service)

    @sampled(service)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        operation = data.draw(operations(model))
        result = drawn(data, model, model.operation(operation).output)
        answer = answer_by_botocore(
            service, operation, render(model, operation, Reply(result=result), "id-1")
        )
        if model.protocol in {"rest-xml", "rest-json"}:
            answer, result = without_nothing(answer), without_nothing(result)
        assert answer == result

    check()
