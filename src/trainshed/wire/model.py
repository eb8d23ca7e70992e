"""What a service offers, read from its model: botocore's data for AWS, data of our own for ours.

The model is the source for telling operations apart, for reading and checking requests, and for
writing answers, so no request class is written by hand. botocore itself is never imported: only
its data files are read (SageMaker: 60 ms to unpack, 6 ms to decode). Documentation, four fifths
of the bytes, is dropped by not being declared here.
"""

import gzip
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

Value = Any
"""A value of one of the model's types; ``wire.message`` says which Python type goes with which."""

SERVICES: Final = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-metrics",
    "logs",
    "s3",
    "sts",
    "iam",
    "application-autoscaling",
    "cloudwatch",
)
"""Every service that SageMaker's clients touch, by botocore's name."""

OWN: Final = "trainshed"
"""The service of our own: what the AWS services have no operation for."""
OWN_MODELS: Final = Path(__file__).with_name("models")
"""Its model, laid out as botocore lays out its own: AWS_DATA_PATH may name this folder."""

PROTOCOLS: Final = ("json", "rest-json", "rest-xml", "query")
"""What is spoken here, in the order in which boto3 and the AWS CLI choose among them."""

VALIDATION_CODES: Final = ("ValidationException", "ValidationError", "InvalidParameterException")
"""The names that services give to the refusal of a parameter."""


class Namespace(msgspec.Struct, frozen=True):
    """An XML namespace."""

    uri: str
    prefix: str | None = None


class Ref(msgspec.Struct, frozen=True, rename="camel"):
    """A use of a shape: a structure's member, a list's element, an operation's input."""

    shape: str
    location: str | None = None
    """``uri``, ``querystring``, ``header``, ``headers`` or ``statusCode``; None is the body."""
    location_name: str | None = None
    streaming: bool = False
    flattened: bool = False
    xml_attribute: bool = False
    xml_namespace: Namespace | None = None
    timestamp_format: str | None = None
    jsonvalue: bool = False
    eventpayload: bool = False
    result_wrapper: str | None = None


class ErrorTrait(msgspec.Struct, frozen=True, rename="camel"):
    """How an error is called on the wire."""

    code: str | None = None
    http_status_code: int | None = None
    sender_fault: bool = False


class Shape(msgspec.Struct, frozen=True, rename="camel"):
    """A type, with its constraints."""

    type: str
    members: Mapping[str, Ref] = {}
    required: tuple[str, ...] = ()
    member: Ref | None = None
    key: Ref | None = None
    value: Ref | None = None
    payload: str | None = None
    location_name: str | None = None
    flattened: bool = False
    xml_namespace: Namespace | None = None
    timestamp_format: str | None = None
    enum: tuple[str, ...] = ()
    min: int | float | None = None
    max: int | float | None = None
    pattern: str | None = None
    sensitive: bool = False
    union: bool = False
    streaming: bool = False
    eventstream: bool = False
    exception: bool = False
    error: ErrorTrait | None = None

    @property
    def element(self) -> Ref:
        """What a list holds."""
        return _given(self.member, "member")

    @property
    def map_key(self) -> Ref:
        """What a map's keys are."""
        return _given(self.key, "key")

    @property
    def map_value(self) -> Ref:
        """What a map holds."""
        return _given(self.value, "value")


class Http(msgspec.Struct, frozen=True, rename="camel"):
    """Where an operation lives."""

    method: str = "POST"
    request_uri: str = "/"
    """Path template, with the query literals that tell operations apart."""
    response_code: int = 200


class Operation(msgspec.Struct, frozen=True):
    """One thing that a service does."""

    name: str
    http: Http = Http()
    input: Ref | None = None
    output: Ref | None = None
    errors: tuple[Ref, ...] = ()
    deprecated: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What holds for a whole service."""

    endpoint_prefix: str
    api_version: str
    protocol: str
    protocols: tuple[str, ...] = ()
    json_version: str = "1.1"
    target_prefix: str = ""
    signing_name: str | None = None
    xml_namespace: str | None = None
    aws_query_compatible: Mapping[str, object] | None = None


class Document(msgspec.Struct, frozen=True):
    """A ``service-2.json`` file."""

    metadata: Metadata
    operations: Mapping[str, Operation]
    shapes: Mapping[str, Shape]


@dataclass(frozen=True, slots=True, eq=False)
class ServiceModel:
    """One service. Hashed by identity, so what is compiled from it can be cached."""

    name: str
    """botocore's name, such as ``sagemaker-runtime``."""
    document: Document
    protocol: str
    """One of ``PROTOCOLS``."""

    @property
    def metadata(self) -> Metadata:
        """What holds for the whole service."""
        return self.document.metadata

    @property
    def operations(self) -> Mapping[str, Operation]:
        """All operations by name."""
        return self.document.operations

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """All types by name."""
        return self.document.shapes

    @property
    def target_prefix(self) -> str:
        """What stands before the dot in ``X-Amz-Target``; "" when the protocol has none."""
        return self.metadata.target_prefix

    @property
    def signing_name(self) -> str:
        """The service's name in a SigV4 credential scope."""
        return self.metadata.signing_name or self.metadata.endpoint_prefix

    @property
    def xml_namespace(self) -> str | None:
        """The namespace of the service's XML documents."""
        return self.metadata.xml_namespace

    def operation(self, name: str) -> Operation:
        """Return an operation.

        Raises:
            KeyError: the service has none of that name.
        """
        return self.operations[name]

    def shape_of(self, ref: Ref) -> Shape:
        """Return the shape that ``ref`` uses."""
        return self.shapes[ref.shape]

    def validation_code(self, operation: str) -> str:
        """Return the code under which this operation refuses a parameter."""
        modelled = {ref.shape for ref in self.operation(operation).errors}
        for code in VALIDATION_CODES:
            if code in modelled:
                return code
        return "ValidationError" if self.protocol == "query" else "ValidationException"


@cache
def load(service: str) -> ServiceModel:
    """Return the model of a service, by botocore's name or ``OWN``, in its newest version.

    Raises:
        LookupError: the installed botocore has no such service, or one whose protocols are not
            spoken here.
    """
    folder = (OWN_MODELS if service == OWN else _data()) / service
    versions = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if not versions:
        raise LookupError(f"no service model for {service!r} in {folder.parent}")
    newest = folder / versions[-1]
    if service == OWN:
        text = (newest / "service-2.json").read_bytes()
    else:
        text = gzip.decompress((newest / "service-2.json.gz").read_bytes())
    document = msgspec.json.decode(text, type=Document)
    listed = document.metadata.protocols or (document.metadata.protocol,)
    for protocol in PROTOCOLS:
        if protocol in listed:
            return ServiceModel(service, document, protocol)
    raise LookupError(f"{service} speaks {', '.join(listed)}; known are {', '.join(PROTOCOLS)}")


def _given(ref: Ref | None, name: str) -> Ref:
    if ref is None:
        raise ValueError(f"a shape without {name}, which its type needs")
    return ref


def _data() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("botocore, which holds the service models, is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"
