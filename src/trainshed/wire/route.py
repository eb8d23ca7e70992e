"""Which service a request is for, when one port answers for all of them.

The signature says so: its credential scope names the service. What is unsigned is refused anyway,
but in the words of the service it seems to be for, so the rest of the request is asked as well.
Known by signing name are the services that SageMaker's clients touch, and our own.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import parse_qsl

from trainshed.wire.model import OWN
from trainshed.wire.sigv4 import Claim, Sent

BY_SIGNING_NAME: Final = {
    "sagemaker": "sagemaker",
    "logs": "logs",
    "s3": "s3",
    "s3express": "s3",
    "sts": "sts",
    "iam": "iam",
    "application-autoscaling": "application-autoscaling",
    "monitoring": "cloudwatch",
    "trainshed": OWN,
}
"""The service by the name in a credential scope."""

_BY_TARGET: Final = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "AnyScaleFrontendService": "application-autoscaling",
    "GraniteServiceVersion20100801": "cloudwatch",
    "Trainshed": OWN,
}
"""The same by the part of ``X-Amz-Target`` before the dot."""

_BY_VERSION: Final = {"2011-06-15": "sts", "2010-05-08": "iam", "2010-08-01": "cloudwatch"}
"""The same by the ``Version`` of a query request: each API has its own date."""

_FORM: Final = "application/x-www-form-urlencoded"
_BUCKET: Final = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_IN_HOST: Final = re.compile(
    rf"(?P<bucket>{_BUCKET})\."
    r"(?:localhost|s3[.-][a-z0-9.-]+|\d{1,3}(?:\.\d{1,3}){3}\.[a-z0-9.-]+)"
)


def service_of(claim: Claim, path: str) -> str | None:
    """Return botocore's name of the service that ``claim`` names; None when it is not known."""
    if claim.service == "sagemaker":
        # Three services share this signing name and are told apart by their paths.
        return _sagemaker(path)
    return BY_SIGNING_NAME.get(claim.service)


def seeming_service(sent: Sent) -> str:
    """Return botocore's name of the service that a request looks like, its signature aside."""
    headers = sent.headers
    target = headers.get("x-amz-target", "").partition(".")[0]
    if target in _BY_TARGET:
        return _BY_TARGET[target]
    kind = headers.get("content-type", "")
    if kind.startswith("application/x-amz-json"):
        return "sagemaker"
    if "Action=" in sent.query or kind.startswith(_FORM):
        version = dict(parse_qsl(sent.query, keep_blank_values=True)).get("Version", "")
        return _BY_VERSION.get(version, "sts")
    found = _sagemaker(sent.path)
    return "s3" if found == "sagemaker" else found


def path_style(host: str, path: str) -> str:
    """Return the path of an S3 request with the bucket in front, should ``host`` carry it.

    Understood are ``bucket.localhost``, ``bucket.s3.anything`` and ``bucket.127.0.0.1.anything``
    (wildcard DNS names that resolve to the address within). All else is path style already.
    """
    name = host.lower().partition(":")[0]
    found = _IN_HOST.fullmatch(name)
    if found is None or _is_address(name):
        return path
    return f"/{found['bucket']}{path}"


def _sagemaker(path: str) -> str:
    if path.startswith("/endpoints/"):
        return "sagemaker-runtime"
    return "sagemaker-metrics" if path == "/BatchPutMetrics" else "sagemaker"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
