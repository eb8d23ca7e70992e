"""The query protocol: forms in, XML out."""

from typing import Any

import pytest
from tests.wire.botocore_oracle import parsed_by_botocore

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import unknown_operation
from trainshed.wire.message import Reply
from trainshed.wire.model import load
from trainshed.wire.protocols import HttpRequest, operation_of, parse, render, render_error

STS, IAM = load("sts"), load("iam")


def form(body: str) -> HttpRequest:
    return HttpRequest(method="POST", path="/", body=body.encode())


def test_the_action_names_the_operation() -> None:
    assert operation_of(STS, form("Action=GetCallerIdentity&Version=2011-06-15")) == (
        "GetCallerIdentity"
    )
    assert operation_of(STS, form("Action=Nothing")) is None
    assert operation_of(STS, form("")) is None


def test_a_get_with_its_fields_in_the_address_is_taken_too() -> None:
    query = (("Action", "GetRole"), ("RoleName", "r"))
    request = HttpRequest(method="GET", path="/", query=query)
    assert operation_of(IAM, request) == "GetRole"
    assert parse(IAM, "GetRole", request) == {"RoleName": "r"}


def test_lists_are_numbered_and_their_order_is_the_numbers() -> None:
    body = (
        "Action=SimulatePrincipalPolicy&PolicySourceArn=arn:aws:iam::123456789012:role/r"
        + "".join(f"&ActionNames.member.{n}=s3:Action{n}" for n in (10, 2, 1))
    )
    params = parse(IAM, "SimulatePrincipalPolicy", form(body))
    assert params["ActionNames"] == ["s3:Action1", "s3:Action2", "s3:Action10"]


def test_an_identity_is_answered_in_its_wrapper() -> None:
    result = {"UserId": "AIDA<1>", "Account": "123456789012", "Arn": "arn:aws:iam::1:root"}
    response = render(STS, "GetCallerIdentity", Reply(result=result), "id-1")
    assert response.body == (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        b"<GetCallerIdentityResult><UserId>AIDA&lt;1&gt;</UserId><Account>123456789012</Account>"
        b"<Arn>arn:aws:iam::1:root</Arn></GetCallerIdentityResult><ResponseMetadata>"
        b"<RequestId>id-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
    parsed = parsed_by_botocore("sts", "GetCallerIdentity", response)
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"


def test_an_operation_without_output_answers_with_the_requests_id() -> None:
    response = render(IAM, "DeleteRole", Reply(result={}), "id-1")
    assert parsed_by_botocore("iam", "DeleteRole", response)["ResponseMetadata"]["RequestId"] == (
        "id-1"
    )


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("DeleteRole", {"Role": {}}),
        ("GetRole", {"Nonsense": {}}),
        ("GetRole", {"Role": []}),
        ("ListRoles", {"Roles": {}}),
        ("ListRoles", {"IsTruncated": "yes"}),
        ("ListRoles", {"Marker": 1}),
    ],
)
def test_a_result_that_the_model_does_not_have_is_our_bug(
    operation: str, result: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"member|expected|output|list"):
        render(IAM, operation, Reply(result=result), "id-1")


def test_a_fault_is_a_validation_error() -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(IAM, "GetRole", form("Action=GetRole"))
    assert caught.value.code == "ValidationError"
    assert caught.value.message == (
        "1 validation error detected: Value null at 'roleName' failed to satisfy constraint: "
        "Member must not be null"
    )


@pytest.mark.parametrize(
    ("model", "operation", "body"),
    [
        (IAM, "ListRoles", "MaxItems=many"),
        (STS, "AssumeRole", "DurationSeconds=1.5"),
        (IAM, "CreateServiceSpecificCredential", "CredentialAgeDays=%00"),
        (IAM, "ListRoles", "Marker=%FF"),
        (IAM, "ListRoles", "&".join(["a=1"] * 10_001)),
        (IAM, "ListRoles", "a" + ".a" * 100_000 + "=1"),
    ],
)
def test_a_value_of_a_wrong_type_is_malformed(model: Any, operation: str, body: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(model, operation, form(body))
    assert caught.value.code == "MalformedInput"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RequestRejected("NoSuchEntity", "The role <x> cannot be found.", 404), "Sender"),
        (RequestRejected("ServiceFailure", "sorry", 500), "Receiver"),
        (unknown_operation("Nothing", "query"), "Sender"),
    ],
)
def test_botocore_reads_our_errors(error: RequestRejected, kind: str) -> None:
    response = render_error(IAM, error, "id-1")
    parsed = parsed_by_botocore("iam", "GetRole", response)
    assert parsed["Error"] == {"Type": kind, "Code": error.code, "Message": error.message}
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == error.status
