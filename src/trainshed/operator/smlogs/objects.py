"""The manifest's object: what job it became, and how that stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from trainshed.client.errors import ApiError, ClientError, JobNotFound
from trainshed.operator.kinds.base import GROUP, VERSION
from trainshed.operator.smlogs.cluster import Cluster, Forbidden
from trainshed.operator.smlogs.subjects import Subject

_ENDED: Final = frozenset({"Completed", "Failed", "Stopped"})
_API: Final = f"/apis/{GROUP}/{VERSION}"


class NotInstalled(ClientError):
    """The cluster does not have the kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An object, as it was seen last."""

    subject: Subject
    name: str
    """The object's."""
    uid: str
    resource: str
    """The job's name at the service; "" while it has none."""
    region: str
    endpoint: str
    """The object's own ``sageMakerEndpoint``; "" for where the operator looks."""
    status: str
    secondary: str
    additional: str
    """What the operator has to say of it, such as why it failed."""
    hopeless: str
    """Why it will be no job unless somebody acts; "" when that is not so."""

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.status in _ENDED

    def heading(self) -> str:
        """Return the line that comes before the log, as it always was."""
        subject = self.subject
        text = (
            f'"{self.name}" has SageMaker {subject.name_member} "{self.resource}" '
            f'in region "{self.region}", status "{self.status}"'
        )
        return f'{text} and secondary status "{self.secondary}"' if subject.has_secondary else text


def read(subject: Subject, content: Mapping[str, Any]) -> Job:
    """Return what an object tells."""
    metadata = content.get("metadata") or {}
    spec, status = content.get("spec") or {}, content.get("status") or {}
    named = status.get(subject.status_name) or ""
    if subject.spec_name:
        named = spec.get(subject.spec_name) or named
    return Job(
        subject=subject,
        name=metadata.get("name", ""),
        uid=metadata.get("uid", ""),
        resource=named,
        region=spec.get("region") or "",
        endpoint=spec.get("sageMakerEndpoint") or "",
        status=status.get(subject.status) or "",
        secondary=status.get("secondaryStatus") or "",
        additional=status.get("additional") or "",
        hopeless=_hopeless(status.get("conditions") or ()),
    )


def _hopeless(conditions: Iterable[Mapping[str, Any]]) -> str:
    """Return why nothing goes on; an object whose job runs on may have stalled as well.

    That is one whose spec was edited meanwhile: it is Ready, or not, for another reason.
    """
    known = {each.get("type"): each for each in conditions}
    stalled, ready = known.get("Stalled", {}), known.get("Ready", {})
    if stalled.get("status") != "True" or ready.get("reason") != stalled.get("reason"):
        return ""
    return str(stalled.get("message") or stalled.get("reason") or "it has stalled")


def find(cluster: Cluster, subject: Subject, name: str) -> Job:
    """Return the object of that name in the cluster's namespace.

    Raises:
        JobNotFound: there is none; the message names some that are called much like it.
        NotInstalled: the cluster does not have that kind.
        Forbidden: it may not be read.
        ApiError, ServerUnreachable: it could not be read.
    """
    try:
        return read(subject, cluster.get(f"{_of_namespace(cluster, subject)}/{name}"))
    except ApiError as error:
        if error.status != 404:
            raise
    _check_installed(cluster, subject)
    raise _none(cluster, subject, name)


def _of_namespace(cluster: Cluster, subject: Subject) -> str:
    return f"{_API}/namespaces/{cluster.namespace}/{subject.plural}"


def _check_installed(cluster: Cluster, subject: Subject) -> None:
    try:
        offered = cluster.get(_API).get("resources") or ()
    except ApiError as error:
        if error.status != 404:
            raise
        raise NotInstalled(
            f"the cluster {cluster.url} knows no manifests of {GROUP}/{VERSION}: "
            "the operator's resource definitions are not installed",
            "kubectl apply -f installer.yaml, or --context of another cluster",
        ) from error
    if subject.plural not in {each.get("name") for each in offered}:
        raise NotInstalled(
            f"the cluster {cluster.url} has {GROUP}/{VERSION}, but no {subject.plural}",
            f"kubectl api-resources --api-group {GROUP}",
        )


def _none(cluster: Cluster, subject: Subject, name: str) -> JobNotFound:
    text = f'no {subject.kind} is called "{name}" in the namespace "{cluster.namespace}"'
    remedy = f"kubectl get {subject.plural} -n {cluster.namespace}"
    try:
        there = cluster.get(_of_namespace(cluster, subject)).get("items") or ()
    except (ApiError, Forbidden):
        return JobNotFound(text, remedy)
    names = [str(each["metadata"]["name"]) for each in there]
    if near := near_names(name, names):
        return JobNotFound(f"{text}; near it: {', '.join(near)}", remedy)
    try:
        everywhere = cluster.get(f"{_API}/{subject.plural}").get("items") or ()
    except (ApiError, Forbidden):
        return JobNotFound(text, remedy)
    elsewhere = [
        str(each["metadata"]["namespace"])
        for each in everywhere
        if each["metadata"]["name"] == name
    ]
    if elsewhere:
        return JobNotFound(f"{text}, but in {', '.join(elsewhere)}", f"-n {elsewhere[0]}")
    return JobNotFound(text, f"kubectl get {subject.plural} --all-namespaces")


def near_names(name: str, names: list[str]) -> list[str]:
    """Return up to three names that may have been meant: much like it, or beginning with it."""
    like = get_close_matches(name, names, n=3, cutoff=0.6)
    return list(dict.fromkeys([*like, *sorted(n for n in names if n.startswith(name))]))[:3]
