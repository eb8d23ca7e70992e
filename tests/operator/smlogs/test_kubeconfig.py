"""Which cluster is meant: what kubectl would take."""

import json
import sys
from pathlib import Path

import pytest

from trainshed.operator.smlogs.cluster import Cluster, Forbidden
from trainshed.operator.smlogs.kubeconfig import NoCluster, find
from trainshed.operator.smlogs.objects import find as find_object
from trainshed.operator.smlogs.subjects import TRAINING
from trainshed.operator.smlogs.words import Typed
from trainshed.testing.api_server import ApiServer

ONE = """
current-context: here
contexts:
- {name: here, context: {cluster: one, user: me, namespace: lab}}
- {name: bare, context: {cluster: one}}
clusters:
- {name: one, cluster: {server: "https://one:6443", certificate-authority: pki/ca.crt}}
users:
- {name: me, user: {token: from-one}}
"""
TWO = """
current-context: there
contexts:
- {name: there, context: {cluster: two, user: me}}
- {name: here, context: {cluster: two, user: me}}
clusters:
- {name: two, cluster: {server: "https://two", tls-server-name: t, proxy-url: "http://p:1"}}
users:
- {name: me, user: {token: from-two}}
- {name: you, user: {tokenFile: token, as: her, as-groups: [g]}}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, text in (("one", ONE), ("two", TWO), ("users", "users: null\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config").write_text(text)
    listed = [tmp_path / name / "config" for name in ("missing", "users", "one", "two")]
    return {"KUBECONFIG": ":".join(map(str, listed))}


def test_several_files_are_one_and_the_first_counts(files: dict[str, str], tmp_path: Path) -> None:
    place = find(Typed(), files)
    assert place.cluster.server == "https://one:6443"
    assert place.namespace == "lab"
    assert place.user.token == "from-one"
    assert place.cluster.certificate_auth == str(tmp_path / "one" / "pki" / "ca.crt")


def test_another_context_is_taken_where_it_is_named(files: dict[str, str]) -> None:
    place = find(Typed(context="there"), files)
    assert (place.cluster.server, place.namespace) == ("https://two", "default")
    assert (place.server_name, place.proxy) == ("t", "http://p:1")


def test_what_is_typed_goes_before_the_file(files: dict[str, str], tmp_path: Path) -> None:
    typed = Typed(cluster="two", user="you", namespace="other", server="https://third")
    place = find(typed, files)
    assert (place.cluster.server, place.namespace) == ("https://third", "other")
    assert place.user.token_file == str(tmp_path / "two" / "token")
    assert place.headers == {"Impersonate-User": ("her",), "Impersonate-Group": ("g",)}
    as_him = find(Typed(impersonate="him", impersonate_groups=("a", "b")), files)
    assert as_him.headers == {"Impersonate-User": ("him",), "Impersonate-Group": ("a", "b")}
    assert find(Typed(token="t", insecure=True), files).user.token == "t"


def test_one_file_is_taken_alone_where_it_is_named(files: dict[str, str], tmp_path: Path) -> None:
    place = find(Typed(kubeconfig=str(tmp_path / "two" / "config")), files)
    assert place.cluster.server == "https://two"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (Typed(context="nowhere"), "there is no context 'nowhere'; there is bare, here, there"),
        (Typed(cluster="nowhere"), "there is no cluster 'nowhere'; there is one, two"),
        (Typed(user="nobody"), "there is no user 'nobody'; there is me, you"),
        (Typed(kubeconfig="/no/file"), "--kubeconfig /no/file: there is no such file"),
    ],
)
def test_what_is_not_there_is_named(typed: Typed, says: str, files: dict[str, str]) -> None:
    with pytest.raises(NoCluster) as refused:
        find(typed, files)
    assert says in str(refused.value)


def test_no_file_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match="there is no current context"):
        find(Typed(), {"KUBECONFIG": str(tmp_path / "none")})


@pytest.mark.parametrize("text", ["[", "just text", "clusters:\n- {name: a, cluster: {server: 7}}"])
def test_a_file_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(NoCluster):
        find(Typed(kubeconfig=str(path), cluster="a"), {})


def test_a_token_that_is_in_a_file_is_sent(api: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert _reaches(api, tmp_path, {"tokenFile": "token"})
    (tmp_path / "token").write_text("another")
    assert not _reaches(api, tmp_path, {"tokenFile": "token"})


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_is_asked_for_a_token_in_every_version(
    version: str, api: ApiServer, tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, os, sys\n"
        "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        f"assert told['apiVersion'] == 'client.authentication.k8s.io/{version}', told\n"
        "print(json.dumps({'status': {'token': sys.argv[1] + os.environ['END']}}))\n"
    )
    called = {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "command": sys.executable,
        "args": [str(plugin), "sec"],
        "env": [{"name": "END", "value": "ret"}],
    }
    assert _reaches(api, tmp_path, {"exec": called})


@pytest.mark.parametrize(
    ("called", "says"),
    [
        (["/no/such/plugin"], "/no/such/plugin"),
        ([sys.executable, "-c", "raise SystemExit('log in first')"], "log in first"),
        ([sys.executable, "-c", "print('{\"status\": {}}')"], "token"),
        ([sys.executable, "-c", "print('no JSON')"], "Expecting value"),
    ],
)
def test_a_plugin_that_fails_is_told_of(
    called: list[str], says: str, api: ApiServer, tmp_path: Path
) -> None:
    version = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": version, "command": called[0], "args": called[1:]}
    with pytest.raises(NoCluster) as refused:
        _reaches(api, tmp_path, {"exec": plugin})
    assert says in str(refused.value)
    assert "the credentials for http://127.0.0.1:" in str(refused.value)


def test_certificates_that_are_not_there_are_told_of(api: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match="the credentials for"):
        _reaches(api, tmp_path, {"client-certificate": "a.crt", "client-key": "a.key"})


def test_another_is_spoken_for_by_headers(api: ApiServer, tmp_path: Path) -> None:
    assert _reaches(api, tmp_path, {"token": "secret", "as": "her", "as-groups": ["a", "b"]})
    assert api.asked[-1][2]["impersonate-user"] == "her"
    assert api.asked[-1][2]["impersonate-group"]


def _reaches(api: ApiServer, folder: Path, user: dict[str, object]) -> bool:
    """Tell whether the API server knows somebody who has that in a kubeconfig."""
    api.tokens = {"secret"}
    api.put("trainingjobs", "default", "digits", spec={"region": "r"})
    path = folder / "config"
    whole = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(whole))
    cluster = Cluster(find(Typed(), {"KUBECONFIG": str(path)}))
    try:
        return find_object(cluster, TRAINING, "digits").region == "r"
    except Forbidden:
        return False
    finally:
        cluster.close()
