"""What errors of a service mean for those who wait for it."""

import pytest
from botocore import exceptions as boto

from trainshed.operator.deciding.base import Refused, Trouble
from trainshed.operator.errors import meaning
from trainshed.operator.objects import Place

PLACE = Place("http://127.0.0.1:9", "eu-central-1")


def told(code: str, message: str = "no", status: int = 400) -> boto.ClientError:
    return boto.ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "CreateTrainingJob",
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (told("ThrottlingException", "Rate exceeded"), "Throttled"),
        (told("Anything", status=429), "Throttled"),
        (told("ResourceLimitExceeded"), "LimitExceeded"),
        (told("AccessDeniedException"), "AccessDenied"),
        (told("UnrecognizedClientException"), "CredentialsRefused"),
        (told("ExpiredTokenException"), "CredentialsRefused"),
        (told("InternalFailure", status=500), "ServiceFails"),
        (told("502", status=502), "ServiceFails"),
        (boto.NoCredentialsError(), "NoCredentials"),
        (boto.EndpointConnectionError(endpoint_url="http://x"), "ServiceUnreachable"),
        (boto.ReadTimeoutError(endpoint_url="http://x"), "ServiceUnreachable"),
        (boto.SSLError(endpoint_url="https://x", error="bad"), "ServiceUnreachable"),
        (OSError("no descriptors"), "ServiceUnreachable"),
    ],
)
def test_what_may_be_gone_the_next_time_is_trouble(error: Exception, reason: str) -> None:
    found = meaning(error, PLACE)
    assert isinstance(found, Trouble)
    assert found.reason == reason
    assert found == meaning(error, PLACE), "the same while the same is wrong"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (told("ValidationException"), "ValidationException"),
        (told("ResourceInUse"), "ResourceInUse"),
        (boto.ParamValidationError(report="Tags: no list"), "ParamValidation"),
        (boto.InvalidRegionError(region_name="no where"), "InvalidAddress"),
        (ValueError("Invalid endpoint: http://"), "InvalidAddress"),
    ],
)
def test_what_stays_wrong_is_refused(error: Exception, code: str) -> None:
    found = meaning(error, PLACE)
    assert isinstance(found, Refused)
    assert found.code == code
