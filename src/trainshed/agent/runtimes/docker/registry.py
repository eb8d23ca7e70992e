"""Image names, who may pull them, and what a registry's refusal means for a job."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trainshed.agent.node import NodeOver
from trainshed.domain.facts import Outcome

_HUB: Final = "docker.io"
_HUB_KEY: Final = "https://index.docker.io/v1/"
"""What Docker's own registry is called in config.json."""
_ECR: Final = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_ECR_PROGRAM: Final = "trainshed.drivers.local.ecr"
_TOKEN_USER: Final = "<token>"  # noqa: S105 - what a credential helper says instead of a name
_ASK_S: Final = 60.0

Account = dict[str, str]


def split(name: str) -> tuple[str, str]:
    """Return (repository, tag or digest) of an image's name; the tag is ``latest`` by default."""
    repository, at, digest = name.partition("@")
    if at:
        head, _, last = repository.rpartition("/")
        last = last.partition(":")[0]
        return (f"{head}/{last}" if head else last), digest
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return (f"{head}/{last}" if head else last), tag or "latest"


def registry_of(name: str) -> str:
    """Return the host (and port) of an image's registry."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return _HUB


def authorization(name: str) -> dict[str, str]:
    """Return the header that shows the engine who pulls; none when nobody is known.

    Looked for where ``docker login`` puts it (config.json and the credential helpers it names),
    then, for Amazon's ECR, with this machine's AWS credentials.

    Raises:
        NodeOver: there is something, and it does not work.
    """
    registry = registry_of(name)
    try:
        account = _configured(registry, _config())
        if account is None and _ECR.fullmatch(registry):
            account = _asked([sys.executable, "-I", "-m", _ECR_PROGRAM, registry], "", _for_aws())
    except _NoAccount as error:
        raise NodeOver(
            Outcome.FAILED,
            f'ClientError: no access to the image "{name}": {error}. What to do: {_advice(name)}',
        ) from error
    if account is None:
        return {}
    data = json.dumps({**account, "serveraddress": registry}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(data).decode()}


class _NoAccount(Exception):
    """Who pulls was to be found out, and could not be."""


def _config() -> Mapping[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG") or str(Path("~/.docker").expanduser())
    path = Path(folder) / "config.json"
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _NoAccount(f"{path} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _configured(registry: str, config: Mapping[str, Any]) -> Account | None:
    key = _HUB_KEY if registry == _HUB else registry
    program = (config.get("credHelpers") or {}).get(registry) or config.get("credsStore")
    if program:
        command = [f"docker-credential-{program}", "get"]
        account = _asked(command, key, dict(os.environ), may_not_know=True)
        if account is not None:
            return account
    accounts = config.get("auths") or {}
    for name in (key, f"https://{registry}", f"http://{registry}", f"https://{registry}/v1/"):
        if found := accounts.get(name):
            return _of_entry(found)
    return None


def _of_entry(entry: Mapping[str, str]) -> Account | None:
    if entry.get("identitytoken"):
        return {"identitytoken": entry["identitytoken"]}
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except ValueError as error:
            raise _NoAccount("the login kept in Docker's config.json cannot be read") from error
        return {"username": user, "password": password.rstrip("\0")}
    if entry.get("username"):
        return {"username": entry["username"], "password": entry.get("password", "")}
    return None


def _asked(
    command: list[str], question: str, environment: Mapping[str, str], *, may_not_know: bool = False
) -> Account | None:
    """Return what a credential helper says.

    Source: the protocol of docker-credential-helpers: the server's name on stdin, ``{"Username",
    "Secret"}`` on stdout; not to know it is an error with a text of its own.
    """
    try:
        ran = subprocess.run(
            command,
            input=question,
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
            env=dict(environment),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoAccount(f"{command[0]} cannot be asked: {error}") from error
    if ran.returncode:
        said = (ran.stderr.strip() or ran.stdout.strip())[-300:]
        if may_not_know and "not found" in said:
            return None
        raise _NoAccount(said or f"{command[0]} exits with {ran.returncode}")
    try:
        answer = json.loads(ran.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError) as error:
        raise _NoAccount(f"{command[0]} says nothing that could be read") from error
    if user == _TOKEN_USER:
        return {"identitytoken": secret}
    return {"username": user, "password": secret}


def _for_aws() -> dict[str, str]:
    """Return an environment in which AWS is AWS.

    A server may have been started where everything points to itself (``trainshed aws-env``); the
    keys beside such an address are its own, and no account's.
    """
    found = dict(os.environ)
    if found.pop("AWS_ENDPOINT_URL", ""):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            found.pop(name, None)
    return found


_UNREACHABLE: Final = (
    "no such host",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "no route to host",
    "tls handshake",
    "server misbehaving",
    "deadline exceeded",
    "client.timeout exceeded",
    "connection reset",
    "temporary failure in name resolution",
    "bad gateway",
    "service unavailable",
)
_REFUSED: Final = (
    "unauthorized",
    "access denied",
    "no basic auth",
    "denied:",
    "authentication required",
    "forbidden",
    "not authorized",
    "authorization token has expired",
)
_MISSING: Final = ("manifest unknown", "not found", "repository name not known", "name unknown")


def is_passing(text: str) -> bool:
    """Tell whether what a pull ended with may be over in a moment."""
    return _any(_UNREACHABLE, text) and "no such host" not in text.lower()


def refusal(name: str, text: str, *, anonymous: bool) -> NodeOver:
    """Return the end of a node whose image could not be pulled."""
    registry = registry_of(name)
    if "no space left on device" in text.lower():
        what = f'this machine\'s disk is full: the image "{name}" has no room on it'
        advice = "make room (docker system df shows what images take)"
    elif _any(_UNREACHABLE, text):
        what = f'the registry {registry} of the image "{name}" cannot be reached'
        advice = _advice(name)
    elif _any(_REFUSED, text):
        who = "nobody is logged in" if anonymous else "the login is refused"
        what = f'no access to the image "{name}", or there is no such image ({who} at {registry})'
        advice = f"docker login {registry}; or {_advice(name)}"
    elif _any(_MISSING, text):
        what = f'there is no image "{name}" at {registry}'
        advice = f"correct the name; or {_advice(name)}"
    else:
        what = f'the image "{name}" could not be pulled'
        advice = _advice(name)
    return NodeOver(Outcome.FAILED, f"ClientError: {what}: {text}. What to do: {advice}")


def _advice(name: str) -> str:
    return (
        f"have it on this machine (docker pull {name}), or let another image stand for it "
        f'([backends.docker.images] "{name}" = "…")'
    )


def _any(words: tuple[str, ...], text: str) -> bool:
    lower = text.lower()
    return any(each in lower for each in words)
