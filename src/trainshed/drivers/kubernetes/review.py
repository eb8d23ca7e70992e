"""Asks a cluster what it is, and whether a server and its agents may do there what they must.

Nothing is changed there, but by ``probe``. Who asks needs no rights but where that is said.
"""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from trainshed.domain.errors import DriverError
from trainshed.drivers.kubernetes import probe
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.permissions import NODE, NODE_ROLE, SERVER, Permission, each

_ACCESS: Final = "/apis/authorization.k8s.io/v1"
_OLDEST: Final = (1, 20)
_TIMEOUT: Final = 15.0
_PROBES: Final = 240
_PROBE_PAUSE: Final = 0.5
"""Seconds."""
_LEVEL: Final = "pod-security.kubernetes.io/enforce"
"""Label of a namespace: which pods it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What is not allowed, and must be."""

    who: str
    """``server``, or the ServiceAccount of nodes."""
    permission: Permission
    """With the verbs that are missing, and no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found on a cluster."""

    url: str
    version: str
    """Such as ``v1.32.4``."""
    namespace: str
    user: str
    """Whom the cluster takes who asks for; "" where it does not tell (before 1.28)."""
    missing: tuple[Missing, ...]
    troubles: tuple[str, ...]
    """What else is in the way of jobs, for people."""
    unknown: tuple[str, ...]
    """What could not be found out, and why."""


class Cluster:
    """A cluster, asked one thing after the other. Use it as a context."""

    def __init__(self, *, kubeconfig: str, context: str, namespace: str) -> None:
        """Connect as ``KubernetesBackend`` says; "" is what it says of "".

        Raises:
            DriverError: there is no such context, or no configuration at all.
        """
        config = configured(kubeconfig, context)
        self.namespace = namespace or config.namespace
        self.url = config.cluster.server
        try:
            self._http = Client(config, ConnectionParams(timeout=httpx2.Timeout(_TIMEOUT)))
        except (ConfigError, OSError, ssl.SSLError, AssertionError) as error:
            raise DriverError(f"the cluster of {told(config)} can't be asked: {error}") from error

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def look(self, accounts: Iterable[str]) -> Look:
        """Return what the cluster is, and what is missing.

        Args:
            accounts: the ServiceAccounts that nodes run as.

        Raises:
            DriverError: it does not answer, or does not know who asks.
        """
        version = str(self._ask("GET", "/version")["gitVersion"])
        troubles, unknown = self._namespace()
        missing = _grouped("server", SERVER, [self._allowed(*asked) for asked in each(SERVER)])
        for account in sorted(set(accounts)):
            answers = [self._node_allowed(account, *asked) for asked in each(NODE)]
            if None in answers:
                unknown.append(
                    f"whether the ServiceAccount {account} has the rights of nodes: you may not "
                    "create localsubjectaccessreviews in the namespace"
                )
            else:
                missing += _grouped(account, NODE, answers)
        return Look(
            url=self.url,
            version=version,
            namespace=self.namespace,
            user=self._user(),
            missing=tuple(missing),
            troubles=(*_too_old(version), *troubles),
            unknown=tuple(unknown),
        )

    def probe(self, name: str, options: KubernetesBackend, sleep: Callable[[float], None]) -> str:
        """Have a pod ask for the server; return what is wrong, "" where nothing is.

        Takes a few seconds, at most two minutes. Who asks must be allowed what a server must.

        Raises:
            DriverError: the cluster makes no such Job.
        """
        jobs = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        pods = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=job-name%3D{name}"
        self._ask("POST", jobs, probe.job(name, options))
        try:
            found: Any = []
            for _ in range(_PROBES):
                sleep(_PROBE_PAUSE)
                found = self._ask("GET", pods)["items"]
                if (said := probe.outcome(found, options.server_url)) is not None:
                    return said
            return probe.at_last(found)
        finally:
            self._ask("DELETE", f"{jobs}/{name}?propagationPolicy=Background")

    def _user(self) -> str:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
            found = self._ask("POST", path, body, refused=True)
        except _NotThere:
            return ""
        return str(found["status"]["userInfo"].get("username", "")) if found else ""

    def _allowed(self, permission: Permission, verb: str) -> bool:
        spec = {"resourceAttributes": self._attributes(permission, verb)}
        answer = self._ask("POST", f"{_ACCESS}/selfsubjectaccessreviews", _review(spec))
        return bool(answer["status"]["allowed"])

    def _node_allowed(self, account: str, permission: Permission, verb: str) -> bool | None:
        """Tell whether a ServiceAccount may; None where who asks may not ask that."""
        everybody = "system:serviceaccounts"
        spec = {
            "user": f"system:serviceaccount:{self.namespace}:{account}",
            "groups": [everybody, f"{everybody}:{self.namespace}", "system:authenticated"],
            "resourceAttributes": self._attributes(permission, verb),
        }
        path = f"{_ACCESS}/namespaces/{self.namespace}/localsubjectaccessreviews"
        body = {**_review(spec, "Local"), "metadata": {"namespace": self.namespace}}
        answer = self._ask("POST", path, body, refused=True)
        return None if answer is None else bool(answer["status"]["allowed"])

    def _attributes(self, permission: Permission, verb: str) -> Mapping[str, str]:
        resource, _, part = permission.resource.partition("/")
        found = {
            "namespace": self.namespace,
            "group": permission.group,
            "resource": resource,
            "verb": verb,
        }
        return {**found, "subresource": part} if part else found

    def _namespace(self) -> tuple[list[str], list[str]]:
        """Return what is wrong with the namespace, and what can't be known of it."""
        path = f"/api/v1/namespaces/{self.namespace}"
        try:
            found = self._ask("GET", path, refused=True)
        except _NotThere:
            remedy = f"kubectl create namespace {self.namespace}"
            return [f"there is no namespace {self.namespace}: {remedy}"], []
        if found is None:
            return [], [f"whether there is a namespace {self.namespace}: you may not look"]
        level = found["metadata"].get("labels", {}).get(_LEVEL, "")
        if level == "restricted":
            said = (
                f"the namespace {self.namespace} takes no pod in which root runs, and agents are "
                f"root: label it {_LEVEL}=baseline, or name another"
            )
            return [said], []
        return [], []

    def _ask(self, method: str, path: str, body: Any = None, *, refused: bool = False) -> Any:  # noqa: ANN401 - JSON
        """Return an answer; None for a refusal where one is expected.

        Raises:
            DriverError: there is none.
        """
        try:
            answer = self._http.request(method, path, json=body)
        except (httpx2.HTTPError, ConfigError, OSError) as error:
            raise DriverError(f"the cluster at {self.url} does not answer: {error}") from error
        match answer.status_code:
            case 200 | 201:
                return answer.json()
            case 401:
                raise DriverError(f"the cluster at {self.url} does not know who asks (401)")
            case 403 if refused:
                return None
            case 404:
                raise _NotThere(f"the cluster at {self.url} has no {path}")
            case code:
                raise DriverError(f"the cluster at {self.url} answers {code}: {answer.text[:300]}")


class _NotThere(DriverError):
    """The API server has no such thing."""


def configured(kubeconfig: str, context: str) -> SingleConfig:
    """Return how a cluster is reached.

    Raises:
        DriverError: nothing says so, or it has no such context.
    """
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        chosen = found.get(context or None)
    except (ConfigError, OSError, ValueError, KeyError, TypeError) as error:
        raise _which(str(error)) from error
    if chosen is None:
        raise _which("no context is current")
    return chosen


def _which(why: str) -> DriverError:
    return DriverError(
        f"which cluster? {why}; name a kubeconfig file with --kubeconfig or KUBECONFIG, and a "
        "context of it with --context"
    )


def told(config: SingleConfig) -> str:
    """Return how people name a configuration."""
    return f"the context {config.context_name!r}"


def manifests(namespace: str, missing: Sequence[Missing], user: str = "") -> str:
    """Return Roles that grant what is missing, and to whom, as YAML.

    That of nodes is whole, and for all accounts of the namespace. Where ``user`` is not known, the
    binding of the server's Role is a comment, to be filled in.
    """
    found = ""
    if of_server := [each.permission for each in missing if each.who == "server"]:
        found += _role("trainshed-server", namespace, of_server)
        bound = _binding("trainshed-server", namespace, "User", user or "YOUR-NAME")
        if not user:
            told = "and who asked just now, by the name that the cluster has for them:"
            bound = "".join(f"# {line}\n" for line in [told, *bound.splitlines()])
        found += bound
    if any(each.who != "server" for each in missing):
        group = f"system:serviceaccounts:{namespace}"
        found += _role(NODE_ROLE, namespace, NODE) + _binding(NODE_ROLE, namespace, "Group", group)
    return found


def _role(name: str, namespace: str, granted: Sequence[Permission]) -> str:
    rules = "".join(
        f'- apiGroups: ["{permission.group}"]\n'
        f"  resources: [{permission.resource}]\n"
        f"  verbs: [{', '.join(permission.verbs)}]\n"
        for permission in granted
    )
    return f"{_head('Role', name, namespace)}rules:\n{rules}"


def _binding(role: str, namespace: str, kind: str, name: str) -> str:
    api = "rbac.authorization.k8s.io"
    return (
        f"{_head('RoleBinding', role, namespace)}"
        f"roleRef: {{apiGroup: {api}, kind: Role, name: {role}}}\n"
        f'subjects: [{{apiGroup: {api}, kind: {kind}, name: "{name}"}}]\n'
    )


def _head(kind: str, name: str, namespace: str) -> str:
    return (
        "---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        f"kind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
    )


def _review(spec: Mapping[str, Any], scope: str = "Self") -> dict[str, Any]:
    kind = "SelfSubjectAccessReview" if scope == "Self" else "LocalSubjectAccessReview"
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


def _grouped(
    who: str, wanted: tuple[Permission, ...], answers: Sequence[bool | None]
) -> list[Missing]:
    """Return what was refused, by permission."""
    asked = zip(each(wanted), answers, strict=True)
    refused = [(permission, verb) for (permission, verb), allowed in asked if not allowed]
    found = []
    for permission in wanted:
        verbs = tuple(verb for of, verb in refused if of == permission)
        if verbs:
            less = Permission(
                group=permission.group,
                resource=permission.resource,
                verbs=verbs,
                why=permission.why,
            )
            found.append(Missing(who=who, permission=less))
    return found


def _too_old(version: str) -> list[str]:
    # Not the members "major" and "minor": some builds leave them empty.
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= _OLDEST:
        return []
    least = ".".join(map(str, _OLDEST))
    return [f"it is Kubernetes {version}; {least} is the oldest that is used here"]
