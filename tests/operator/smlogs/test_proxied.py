"""Calls through the API server: signed in the query, and told apart from its own refusals."""

from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.client.api import Credentials
from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.proxied import ProxiedCalls, signed_query
from trainshed.operator.smlogs.routes import Proxied
from trainshed.testing.api_server import ApiServer
from trainshed.wire import sigv4
from trainshed.wire.keys import AccessKey

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
words = st.text("abcXYZ0123456789+/=", min_size=1, max_size=20)


def calls(cluster: Cluster) -> ProxiedCalls:
    route = Proxied(namespace="lab", service="trainshed", port=7070)
    keys = Credentials(access_key="AK", secret_key="secret", region="us-east-1")
    return ProxiedCalls(cluster=cluster, route=route, credentials=keys, now=lambda: NOON)


@given(words, words, st.one_of(st.just(""), words), st.binary(max_size=50))
def test_what_is_signed_is_believed_by_the_server(
    access_key: str, secret: str, token: str, body: bytes
) -> None:
    keys = Credentials(access_key=access_key, secret_key=secret, region="us-east-1", token=token)
    headers = {"host": "api:6443", "content-type": "application/json", "x-amz-target": "Logs.Get"}
    query = signed_query(keys, "logs", headers, body, NOON)
    came = {**headers, "x-forwarded-for": "10.0.0.1", "user-agent": "a"}
    sent = sigv4.Sent(method="POST", path="/", query=query, headers=came)
    claim = sigv4.read(sent)
    assert claim is not None
    digest = sha256(body).hexdigest()
    signed = sigv4.verify(claim, sent, digest, key=AccessKey(secret, token), now=NOON)
    assert (signed.access_key, signed.service) == (access_key, "logs")


def test_the_query_and_no_header_carries_the_signature(api: ApiServer, cluster: Cluster) -> None:
    api.services["lab", "trainshed", 7070] = api.url  # who answers is no matter
    with pytest.raises(ApiError):
        calls(cluster).call("logs", "GetLogEvents")
    _, path, headers = api.asked[0]
    assert path == "/api/v1/namespaces/lab/services/trainshed:7070/proxy/"
    assert "authorization" not in headers
    assert headers["x-amz-target"] == "Logs_20140328.GetLogEvents"
    fields = dict(parse_qsl(signed_query(calls(cluster).credentials, "logs", headers, b"", NOON)))
    assert fields["X-Amz-Credential"] == "AK/20260101/us-east-1/logs/aws4_request"


def test_a_service_with_nobody_behind_is_a_server_that_does_not_answer(
    api: ApiServer, cluster: Cluster
) -> None:
    with pytest.raises(ServerUnreachable, match="no endpoints available"):
        calls(cluster).call("logs", "GetLogEvents")


def test_an_api_server_that_does_not_pass_on_says_why(api: ApiServer, cluster: Cluster) -> None:
    api.forbidden.add(".*/proxy/")
    with pytest.raises(ApiError, match="Forbidden: User") as refused:
        calls(cluster).call("logs", "GetLogEvents")
    assert refused.value.status == 403
