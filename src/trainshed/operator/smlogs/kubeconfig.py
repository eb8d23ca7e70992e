"""Which cluster is meant, and as whom: what ``kubectl`` would take.

The files of KUBECONFIG are one: of what is defined twice the first counts. What is typed goes
before all of them. Without any file, the pod's service account is taken. How each kind of
credential is used is lightkube's; it reads neither several files, nor exec plugins of the API's
final version.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from lightkube.config.kubeconfig import SERVICE_ACCOUNT
from lightkube.config.models import Cluster, NameValue, User, UserExec

from trainshed.client.errors import ClientError
from trainshed.operator.smlogs.words import Typed

DEFAULT: Final = "~/.kube/config"
_PATHS: Final = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
)
_EXEC: Final = "client.authentication.k8s.io/"
_LIGHTKUBES_EXEC: Final = _EXEC + "v1beta1"


class NoCluster(ClientError):
    """It can't be told which cluster is meant, or as whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster, as whom to speak to it, and what lightkube has no member for."""

    cluster: Cluster
    user: User
    namespace: str
    server_name: str = ""
    """Whom its certificate is for, when not its host."""
    proxy: str = ""
    headers: Mapping[str, tuple[str, ...]]


def find(typed: Typed, environment: Mapping[str, str]) -> Place:
    """Return where ``kubectl`` would go.

    Raises:
        NoCluster: a file can't be read, has no such context, or there is none.
    """
    whole = _merged(_files(typed, environment))
    if not whole["clusters"] and not typed.server and "KUBERNETES_SERVICE_HOST" in environment:
        whole = _of_pod(environment)
    name = typed.context or whole["current-context"]
    context = _of("context", whole["contexts"], name, needed=bool(typed.context))
    chosen = typed.cluster or context.get("cluster", "")
    cluster = _of("cluster", whole["clusters"], chosen, needed=bool(chosen))
    chosen = typed.user or context.get("user", "")
    user = _of("user", whole["users"], chosen, needed=bool(chosen))
    cluster, user = {**cluster, **_typed_cluster(typed)}, {**user, **_typed_user(typed)}
    if not cluster.get("server"):
        why = f"the context {name!r} names none" if name else "there is no current context"
        raise NoCluster(
            f"no cluster is chosen: {why}", "kubectl config use-context NAME, or --context NAME"
        )
    told = _converted(cluster, Cluster, "cluster")
    return Place(
        cluster=told,
        user=_with_exec(_converted(user, User, "user"), told),
        namespace=typed.namespace or context.get("namespace") or "default",
        server_name=typed.tls_server_name or cluster.get("tls-server-name", ""),
        proxy=cluster.get("proxy-url", ""),
        headers=_as_whom(typed, user),
    )


def _files(typed: Typed, environment: Mapping[str, str]) -> list[Path]:
    if typed.kubeconfig:
        path = Path(typed.kubeconfig).expanduser()
        if not path.is_file():
            raise NoCluster(f"--kubeconfig {typed.kubeconfig}: there is no such file")
        return [path]
    listed = environment.get("KUBECONFIG", "").split(os.pathsep)
    named = [Path(one).expanduser() for one in listed if one] or [Path(DEFAULT).expanduser()]
    return [path for path in named if path.is_file()]  # kubectl leaves out what is not there, too


def _merged(files: list[Path]) -> dict[str, Any]:
    """Return all files as one; paths within are absolute."""
    whole: dict[str, Any] = {"clusters": {}, "contexts": {}, "users": {}, "current-context": ""}
    for path in files:
        try:
            content = msgspec.yaml.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise NoCluster(f"{path}: {error}", "kubectl config view") from error
        if not isinstance(content, dict):
            raise NoCluster(f"{path} is no kubeconfig", "kubectl config view")
        for kind, member in (("clusters", "cluster"), ("contexts", "context"), ("users", "user")):
            for each in content.get(kind) or ():
                told = {**(each.get(member) or {})}
                for name in _PATHS:
                    if told.get(name):
                        told[name] = str(path.parent.absolute() / Path(told[name]).expanduser())
                whole[kind].setdefault(each.get("name", ""), told)
        whole["current-context"] = whole["current-context"] or content.get("current-context") or ""
    return whole


def _of_pod(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what a pod has for its service account, in the words of a kubeconfig."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    folder = Path(SERVICE_ACCOUNT)
    try:
        namespace = (folder / "namespace").read_text().strip()
    except OSError as error:
        raise NoCluster(
            f"there is no kubeconfig, and {error.filename}: {error.strerror}"
        ) from error
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = {"server": server, "certificate-authority": str(folder / "ca.crt")}
    return {
        "clusters": {"pod": cluster},
        "users": {"pod": {"tokenFile": str(folder / "token")}},
        "contexts": {"pod": {"cluster": "pod", "user": "pod", "namespace": namespace}},
        "current-context": "pod",
    }


def _as_whom(typed: Typed, user: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the headers of who speaks for another."""
    name = typed.impersonate or user.get("as", "")
    if not name:
        return {}
    groups = typed.impersonate_groups or tuple(user.get("as-groups") or ())
    return {"Impersonate-User": (name,), "Impersonate-Group": groups}


def _of(what: str, known: Mapping[str, Any], name: str, *, needed: bool) -> dict[str, Any]:
    if name in known:
        return dict(known[name])
    if needed:
        names = ", ".join(sorted(known)) or "none"
        raise NoCluster(f"there is no {what} {name!r}; there is {names}", "kubectl config view")
    return {}


def _converted(told: dict[str, Any], kind: type[Any], what: str) -> Any:  # noqa: ANN401
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise NoCluster(f"the {what} in the kubeconfig: {error}", "kubectl config view") from error


def _typed_cluster(typed: Typed) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if typed.server:
        told["server"] = typed.server
    if typed.insecure:
        told["insecure-skip-tls-verify"] = True
    if typed.certificate_authority:
        told["certificate-authority"] = str(Path(typed.certificate_authority).absolute())
    return told


def _typed_user(typed: Typed) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if typed.token:
        told |= {"token": typed.token, "tokenFile": None}
    if typed.client_certificate:
        told["client-certificate"] = str(Path(typed.client_certificate).absolute())
        told["client-certificate-data"] = None
    if typed.client_key:
        told["client-key"] = str(Path(typed.client_key).absolute())
        told["client-key-data"] = None
    return told


def _with_exec(user: User, cluster: Cluster) -> User:
    """Return the user with a plugin that lightkube knows how to call.

    Versions differ in that the last one must be told what it is called for; the answer is the same.
    """
    plugin = user.exec
    if plugin is None or not plugin.apiVersion.startswith(_EXEC):
        return user
    told = {
        "apiVersion": plugin.apiVersion,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": cluster.server}},
    }
    information = NameValue(name="KUBERNETES_EXEC_INFO", value=json.dumps(told))
    called = UserExec(
        apiVersion=_LIGHTKUBES_EXEC,
        command=plugin.command,
        env=[*(plugin.env or ()), information],
        args=plugin.args,
        installHint=plugin.installHint,
    )
    return msgspec.structs.replace(user, exec=called)
