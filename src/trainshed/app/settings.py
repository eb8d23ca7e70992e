"""What a server can be told: one file, read once. Everything has a default that works.

# trainshed.toml
account = "123456789012"
region = "eu-central-1"
file_roots = ["/data"]

cache = "50g"
log_format = "json"

[objects]
limit = "500g"

[[stores]]
prefix = "s3://datasets/"
endpoint = "https://minio.example.com"
access_key = "AKEXAMPLE"
secret_key = "…"

[webhooks.models]
url = "https://example.com/models"

[file_systems]
"fs-0123456789abcdef0" = "/mnt/shared"

[retention]
logs_days = 90

[telemetry]
endpoint = "http://127.0.0.1:4318"

[projects.vision]
weight = 2
max_gpus = 4

[queue]
ageing_minutes = 30

[backends.local]
max_nodes = 8

[backends.local.images]
"*pytorch*" = "/opt/envs/torch"
"*" = "python"

[backends.docker]
max_nodes = 4

[backends.docker.images]
"763104351884.dkr.ecr.*/pytorch-training:*" = "pytorch/pytorch:latest"

[backends.docker.instances]
"ml.p3.*" = { cpus = 4, memory = "16g", gpus = 0 }

[backends.rehearsal]
kind = "simulated"
"""

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from trainshed.agent.runtimes.docker import sockets
from trainshed.app import kinds, sharing
from trainshed.app.kinds import Further
from trainshed.app.sharing import ProjectSettings, QueueSettings, SpotSettings
from trainshed.domain import sizes
from trainshed.domain.errors import TrainshedError
from trainshed.domain.names import CONTAINER_ADDRESS
from trainshed.drivers.capacity import Capacity
from trainshed.drivers.instance_sizes import InstanceSize, in_bytes, instances
from trainshed.engine.retention import Keep
from trainshed.engine.webhooks import Webhook

DEFAULT_PORT: Final = 7070
_FROM_ENVIRONMENT: Final = ("log_format", "log_level")
"""What the environment may say as well: the same settings in a container's terms."""


class SettingsError(TrainshedError):
    """The settings file can't be used; the message says where and why."""


class LocalBackend(Capacity, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are processes of this machine."""

    max_nodes: Annotated[int, msgspec.Meta(ge=1)] = max(4, 2 * (os.cpu_count() or 1))
    """Nodes that may run at once; further jobs wait. A process without load costs little, so the
    default is twice the processors."""
    stop_seconds: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    """Between SIGTERM and SIGKILL. The service gives 120."""
    images: Annotated[dict[str, str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: {"*": "python"}
    )
    """Image name pattern (``*`` and ``?``) to what runs in its place: a folder that holds
    ``bin/python`` (a virtual environment, a conda environment), an interpreter's path, or
    ``python``, the interpreter that runs this server. The closest counts."""


class DockerBackend(Capacity, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are containers of a Docker engine on this machine, or of Podman."""

    max_nodes: Annotated[int, msgspec.Meta(ge=1)] = max(4, 2 * (os.cpu_count() or 1))
    """Nodes that may run at once; further jobs wait."""
    engine: str = ""
    """The engine's socket, ``unix:///path``; by default DOCKER_HOST, then the usual places."""
    pull: Literal["missing", "always"] = "missing"
    """When an image is fetched from its registry."""
    shm: str = ""
    """Size of /dev/shm of every container; half of its memory when it is not said."""
    stop_seconds: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    """Between SIGTERM and SIGKILL. The service gives 120."""
    container_host: str = CONTAINER_ADDRESS if sys.platform == "linux" else "host.docker.internal"
    """Where containers reach this server. By default the address of a network that we make on the
    engine; ``host.docker.internal`` where the engine is in a virtual machine (Docker Desktop)."""
    images: dict[str, str] = msgspec.field(default_factory=dict)
    """Image name pattern (``*`` and ``?``) to the image that runs in its place. The closest counts;
    an image that no pattern fits runs as it is called."""
    instances: dict[str, InstanceSize] = msgspec.field(default_factory=dict)
    """Instance type pattern to what it means here. The closest counts; others have what Amazon's
    have, as far as this machine reaches."""

    def __post_init__(self) -> None:
        """See that sizes are sizes.

        Raises:
            ValueError: one is none; the message names the option.
        """
        instances(self.instances)
        in_bytes("shm", self.shm)


class ObjectStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server's own object store."""

    limit: str = ""
    """Bytes that all its objects may take, such as ``500g``; by default what the disk has."""
    reserve: str = "1g"
    """Bytes of the disk that it leaves free: beyond them uploads are refused."""
    abort_incomplete_uploads_after: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 7
    """Days after which an upload in parts that was begun, and not finished, is given up; 0: never.
    Who goes on with one later begins anew."""

    def limit_bytes(self) -> int:
        """Return ``limit`` in bytes; 0 when there is none; raise ``ValueError`` when it is none."""
        return _bytes("objects.limit", self.limit)

    def reserve_bytes(self) -> int:
        """Return ``reserve`` in bytes; raise ``ValueError`` when it is none."""
        return _bytes("objects.reserve", self.reserve)


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object store beside the server's own: which addresses lie there, and how it is reached."""

    prefix: Annotated[str, msgspec.Meta(pattern=r"^(s3|gs|az)://[^/]+/.*$")]
    """``s3://bucket/``, ``gs://bucket/`` or ``az://container/``, or a longer prefix. The longest
    that fits an address wins."""
    endpoint: str = ""
    """``http(s)://host[:port]``; by default the cloud's own."""
    region: str = ""
    access_key: str = ""
    """S3: the key's id. Azure: the storage account's name."""
    secret_key: str = ""
    """S3: the secret. Azure: the account's key. Google: the path of a service account's file.
    Without keys, what the machine has is used (environment, instance role, workload identity)."""

    def access(self) -> dict[str, str]:
        """Return it as a node's plan has it."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of what happens to objects, in Amazon S3's event messages."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]+")]
    token: str = ""
    """Sent as ``Authorization: Bearer …``."""


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what nobody needs any more is kept; 0 days: for ever, the default of all of them.

    The service forgets none of it by itself either, and what is gone is gone.
    """

    jobs_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    """After the end of a job, until its record goes, and its logs with it."""
    logs_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    """After the last line of a log stream, until it goes. Those of open jobs stay."""
    unsent_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    """After a job's results found no store that took them, until they are given up."""

    def keep(self) -> Keep:
        """Return it as the engine takes it."""
        return Keep(
            jobs=timedelta(days=self.jobs_days),
            logs=timedelta(days=self.logs_days),
            unsent=timedelta(days=self.unsent_days),
        )


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a trace of each job goes; needs the extra ``trainshed[otel]``."""

    endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]+")]
    """A collector's OTLP/HTTP address, such as ``http://127.0.0.1:4318``."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Sent with every request, such as a token."""


class Records(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where jobs and the index of objects are kept."""

    url: Annotated[str, msgspec.Meta(pattern=r"^(postgres(ql)?://.*)?$")] = ""
    """``postgresql://user:password@host:5432/database``, which several servers may share; by
    default a file of the data directory, which is one server's."""
    shared: str = ""
    """Folder that all servers of these records have: objects, logs, keys, the files of nodes. By
    default the data directory: then there can be one server only."""

    def secrets(self) -> tuple[str, ...]:
        """Return what of it must never be logged."""
        try:
            password = urlsplit(self.url).password
        except ValueError:  # no URL: whoever opens it says so
            return (self.url,)
        return (password, unquote(password)) if password else ()


class Backends(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configured places, by name."""

    local: LocalBackend = LocalBackend()
    docker: DockerBackend | None = None
    """None: offered with its defaults where an engine's socket is found."""
    further: dict[str, Further] = msgspec.field(default_factory=dict)
    """By name; in a file, each is a table beside the others."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a server can be told."""

    account: Annotated[str, msgspec.Meta(pattern=r"^\d{12}$")] = "123456789012"
    """The account id in ARNs."""
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    """The region that ``trainshed aws-env`` exports; requests for any other are served too."""
    file_roots: tuple[str, ...] = ()
    """Folders below which jobs may read and write ``file://`` addresses; none by default."""
    stores: tuple[Store, ...] = ()
    """Object stores beside the server's own."""
    records: Records = Records()
    """Where rows are kept."""
    objects: ObjectStore = ObjectStore()
    """The server's own object store."""
    cache: str = "20g"
    """What staged objects may take on each machine, so that the next job need not fetch them; ``0``
    keeps none."""
    webhooks: dict[str, WebhookTarget] = msgspec.field(default_factory=dict)
    """Who may be told of what happens to objects, by the name that ends the ARN in a bucket's
    notification configuration."""
    file_systems: dict[str, str] = msgspec.field(default_factory=dict)
    """What stands for the FileSystemId of an EFS or FSx file system: a folder of the machine where
    nodes run, or ``nfs://host/export``."""
    log_format: Literal["text", "json"] = "text"
    """How the server's log is written. TRAINSHED_LOG_FORMAT goes before it."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """What is less is not logged. TRAINSHED_LOG_LEVEL goes before it."""
    log_requests: bool = False
    """Whether each request is logged, at whatever level."""
    retention: Retention = Retention()
    """How long things are kept."""
    telemetry: Telemetry | None = None
    """None: no traces."""
    projects: dict[str, ProjectSettings] = msgspec.field(default_factory=dict)
    """Who shares this server, by the name in the tag ``trainshed:project``. Where there are any,
    jobs may name no others; ``default`` stands for jobs that name none."""
    queue: QueueSettings = QueueSettings()
    """How jobs wait for nodes."""
    spot: SpotSettings = SpotSettings()
    """Managed spot training."""
    backend: str = "local"
    """Where jobs go that name no backend themselves."""
    backends: Backends = Backends()

    def notified(self) -> dict[str, Webhook]:
        """Return who may be told of what happens to objects, by name."""
        return {
            name: Webhook(name=name, url=target.url, token=target.token)
            for name, target in self.webhooks.items()
        }

    def secrets(self) -> tuple[str, ...]:
        """Return what stands in the settings and must never be logged."""
        return (
            *self.records.secrets(),
            *(store.secret_key for store in self.stores),
            *(target.token for target in self.webhooks.values()),
            *sharing.secrets(self.projects).values(),
            *(self.telemetry.headers.values() if self.telemetry else ()),
        )

    def cache_bytes(self) -> int:
        """Return ``cache`` in bytes; raise ``ValueError`` when it is no size."""
        return _bytes("cache", self.cache)


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in ``path``, or the defaults when it is None.

    Args:
        path: a TOML file.
        environment: its TRAINSHED_LOG_* go before what the file says.

    Raises:
        SettingsError: the file can't be read, is no TOML, or holds what no setting is.
    """
    return _told_by(environment or {}, _read(path))


def _told_by(environment: Mapping[str, str], settings: Settings) -> Settings:
    for name in _FROM_ENVIRONMENT:
        if told := environment.get(f"TRAINSHED_{name.upper()}"):
            members = {**msgspec.structs.asdict(settings), name: told.lower()}
            try:
                settings = msgspec.convert(members, Settings)
            except msgspec.ValidationError as error:
                raise SettingsError(f"TRAINSHED_{name.upper()}={told!r}: {error}") from error
    return settings


def _read(path: Path | None) -> Settings:
    if path is None:
        return Settings()
    try:
        told = msgspec.toml.decode(path.read_bytes())
        if isinstance(tables := told.get("backends"), dict):
            own = {name: table for name, table in tables.items() if name in kinds.OWN_NAMES}
            told["backends"] = {**own, "further": kinds.further(tables)}
        settings = msgspec.convert(told, Settings)
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error
    _check(settings, path)
    return settings


def _check(settings: Settings, path: Path) -> None:
    places = settings.backends.further
    if settings.backend not in {*kinds.OWN_NAMES, *places}:
        raise SettingsError(
            f"settings file {path}: backend is {settings.backend!r}, and there is no "
            f"[backends.{settings.backend}]"
        )
    try:
        settings.objects.limit_bytes()
        settings.objects.reserve_bytes()
        settings.cache_bytes()
        sharing.check(settings.projects)
    except ValueError as error:
        raise SettingsError(f"settings file {path}: {error}") from error
    _check_shared(settings.records, path)
    for root in settings.file_roots:
        if not Path(root).is_absolute():
            raise SettingsError(f"settings file {path}: file_roots: {root!r} is not absolute")

    for name, folder in settings.file_systems.items():
        if not folder.startswith(("/", "nfs://")):
            raise SettingsError(
                f"settings file {path}: file_systems: {name!r} is {folder!r}; it must be an "
                "absolute path, or nfs://host/export"
            )


def _check_shared(records: Records, path: Path) -> None:
    if records.shared and not records.url:
        raise SettingsError(
            f"settings file {path}: records.shared is for several servers, and these need a "
            'database that they share: records.url = "postgresql://…"'
        )
    if records.shared and not Path(records.shared).is_absolute():
        raise SettingsError(
            f"settings file {path}: records.shared: {records.shared!r} is not absolute"
        )


def _bytes(name: str, text: str) -> int:
    """Return a size in bytes, 0 for none; raise ``ValueError``, with the setting's name."""
    try:
        return sizes.parse(text) if text not in {"", "0"} else 0
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def engine_socket(configured: str, environment: Mapping[str, str]) -> str:
    """Return the container engine's address; "" when none is configured and none found.

    Args:
        configured: ``[backends.docker] engine``.
        environment: may hold DOCKER_HOST and XDG_RUNTIME_DIR.
    """
    if configured or environment.get("DOCKER_HOST"):
        return configured or environment["DOCKER_HOST"]
    found = sockets.found(environment)
    return f"unix://{found}" if found else ""


def interpreter(environment: str) -> str:
    """Return the path that an image's environment stands for (``python`` is this one)."""
    return sys.executable if environment == "python" else environment


def inherited_environment() -> dict[str, str]:
    """Return what the server was started with; jobs of the process runtime build on it."""
    return dict(os.environ)
