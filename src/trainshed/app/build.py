"""Builds a server's parts and wires them together; the only place that knows them all."""

import asyncio
import json
import platform
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import trainshed
from trainshed.api.credentials import ContainerCredentials
from trainshed.api.iam.roles import Roles
from trainshed.api.keys import Keyring
from trainshed.api.logs.operations import LogOperations
from trainshed.api.nearby import NearbyObjects
from trainshed.api.operations import Operation, offered
from trainshed.api.reports import Reports
from trainshed.api.s3 import operations as s3
from trainshed.api.sagemaker.absent import AbsentKinds
from trainshed.api.sagemaker.change import ChangeTraining
from trainshed.api.sagemaker.create import CreateTraining
from trainshed.api.sagemaker.data import Data
from trainshed.api.sagemaker.elsewhere import Elsewhere
from trainshed.api.sagemaker.read import ReadTraining
from trainshed.api.sagemaker.search import SearchTraining
from trainshed.api.sagemaker.tags import ResourceTags
from trainshed.api.sts.identity import Identity
from trainshed.api.trainshed import operations as own
from trainshed.api.trainshed.awaiting import AwaitTraining
from trainshed.api.trainshed.garbage import Collect
from trainshed.app import backends, sharing
from trainshed.app.around import Around, nothing
from trainshed.app.garbage import garbage
from trainshed.app.private import make_private
from trainshed.app.records import Hearing, opened
from trainshed.app.settings import Settings
from trainshed.app.tallies import Tallies
from trainshed.domain.errors import TrainshedError
from trainshed.drivers.base import Driver
from trainshed.engine import webhooks
from trainshed.engine.backends import Backends
from trainshed.engine.expiry import Expiry
from trainshed.engine.loop import Engine
from trainshed.engine.notifying import Notifier
from trainshed.engine.ownership import Ownership, new_id
from trainshed.engine.planning import Site
from trainshed.engine.queue import Queue
from trainshed.engine.retention import Retention
from trainshed.stores.logs.segments import Logs
from trainshed.stores.objects import events
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.space import make_room_to_start
from trainshed.stores.objects.whereabouts import StoredFiles
from trainshed.stores.records.aging import AgedJobs
from trainshed.stores.records.base import Database, Server
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.feed import JobFeed
from trainshed.stores.records.leases import SqlLeases
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.wire.front import Front


class CredentialsUnreadable(TrainshedError):
    """The file of keys is damaged; new keys are never made over it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that clients sign with, made at the first start."""

    access_key: str
    secret_key: str
    report_secret: str
    """What agents' report tokens and the keys of jobs are derived from; never leaves this
    machine."""

    def secrets(self) -> tuple[str, ...]:
        """Return what must never be logged."""
        return self.secret_key, self.report_secret


@dataclass(frozen=True, slots=True)
class Parts:
    """A server, built but not serving."""

    front: Front
    reports: Reports
    credentials: ContainerCredentials
    nearby: NearbyObjects
    engine: Engine
    ownership: Ownership
    notifier: Notifier
    expiry: Expiry
    retention: Retention
    tallies: Tallies
    drivers: Mapping[str, Driver]
    """By backend name."""
    backend: str
    """The name of the one where jobs go that name none."""
    objects: EmbeddedObjects
    records: SqlTrainingRecords
    database: Database
    hear: Hearing | None
    """Hears what other servers write; None where this is the only one."""
    stopping: asyncio.Event
    """To be set once the server begins to stop: who waits for news is answered then."""


def credentials(data: Path, region: str) -> Credentials:
    """Return the data directory's keys, making them (mode 0600) at the first start.

    Raises:
        CredentialsUnreadable: the file is there, and holds something else.
    """
    path = data / "credentials.json"
    if not path.exists():
        made = {
            "access_key": "TS" + secrets.token_hex(9).upper(),
            "secret_key": secrets.token_urlsafe(30),
            "report_secret": secrets.token_urlsafe(30),
        }
        make_private(path, json.dumps({**made, "region": region}, indent=1))
    try:
        kept = json.loads(path.read_text())
        return Credentials(kept["access_key"], kept["secret_key"], kept["report_secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise CredentialsUnreadable(
            f"{path} does not hold the keys that clients sign with ({error!r}): bring it back from "
            "a copy, or delete it to have new keys made; nodes that run now are then not heard"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one server brings to its operations, beside what it shares with others."""

    owner: Callable[[], str] = str
    """Returns what the server is called that steps the jobs made here."""
    collect: Collect | None = None
    """Collects what is left of jobs."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """See ``Parts.stopping``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where one server keeps everything."""

    database: Database
    hear: Hearing | None
    changes: InProcessChanges
    records: SqlTrainingRecords
    tags: SqlTags
    logs: Logs
    objects: EmbeddedObjects


def build(
    data: Path,
    settings: Settings,
    *,
    url: str,
    clock: Callable[[], datetime],
    around: Around = nothing,
) -> Parts:
    """Open the stores under ``data`` and wire a server that is reached at ``url``.

    ``around`` gets each of the parts that ``Around`` names.
    """
    keys = credentials(data, settings.region)
    tallies = Tallies.of(settings)
    stores = _stores(data, settings, clock, tallies, around)
    agent = around("agent", backends.AGENT)
    places = backends.drivers(settings, data, stores.records, agent)
    drivers = {name: around("driver", driver) for name, driver in places.items()}
    site = _site(data, settings, url, keys.report_secret, drivers)
    alone = stores.hear is None
    leases = around("leases", SqlLeases(stores.database, alone=alone))
    ownership = Ownership(leases, this_server(url, drivers), alone=alone)
    process = Process(
        owner=lambda: ownership.id, collect=garbage(data, stores, places, clock).collect
    )
    front = Front(
        operations(stores, settings, clock, drivers, process),
        keys=Keyring(
            own={**sharing.secrets(settings.projects), keys.access_key: keys.secret_key},
            records=stores.records,
            secret=keys.report_secret,
            clock=clock,
        ),
        clock=clock,
        region=settings.region,
        observe=tallies.requests.note,
    )
    return Parts(
        front=front,
        reports=around("reports", _reports(stores, keys, tallies, clock)),
        credentials=ContainerCredentials(
            records=stores.records, secret=keys.report_secret, clock=clock
        ),
        nearby=NearbyObjects(
            files=StoredFiles(stores.database), records=stores.records, secret=keys.report_secret
        ),
        engine=_engine(stores, settings, site, clock, ownership, drivers),
        ownership=ownership,
        notifier=_notifier(settings, stores, clock, ownership),
        expiry=_expiry(settings, stores, clock, ownership),
        retention=_retention(data, settings, stores, clock, ownership),
        tallies=tallies,
        drivers=drivers,
        backend=settings.backend,
        objects=stores.objects,
        records=stores.records,
        database=stores.database,
        hear=stores.hear,
        stopping=process.stopping,
    )


def _reports(
    stores: Stores, keys: Credentials, tallies: Tallies, clock: Callable[[], datetime]
) -> Reports:
    """Return what takes agents' reports."""
    return Reports(
        records=stores.records,
        logs=stores.logs,
        secret=keys.report_secret,
        heard=tallies.heard(clock),
    )


def _stores(
    data: Path,
    settings: Settings,
    clock: Callable[[], datetime],
    tallies: Tallies,
    around: Around,
) -> Stores:
    """Open what is kept under ``data``."""
    make_room_to_start(data / "objects")
    changes = InProcessChanges()
    database, listening = opened(settings.records, data)
    objects = EmbeddedObjects(
        database,
        data / "objects",
        clock,
        limit=settings.objects.limit_bytes(),
        reserve=settings.objects.reserve_bytes(),
    )
    return Stores(
        database=database,
        hear=listening and listening(changes, {events.TOPIC: objects.events.ring}),
        changes=changes,
        records=around("records", SqlTrainingRecords(database, changes, tallies.note_job)),
        tags=SqlTags(database),
        logs=Logs(data / "logs"),
        objects=around("objects", objects),
    )


def _engine(
    stores: Stores,
    settings: Settings,
    site: Site,
    clock: Callable[[], datetime],
    ownership: Ownership,
    drivers: Mapping[str, Driver],
) -> Engine:
    """Return what makes true what the records wish for."""
    return Engine(
        records=stores.records,
        changes=stores.changes,
        backends=Backends(drivers=drivers, default=settings.backend),
        site=site,
        clock=clock,
        ownership=ownership,
        queue=Queue(
            records=stores.records,
            capabilities=site.capabilities,
            default=settings.backend,
            clock=clock,
            policy=sharing.policy(settings.queue, settings.projects),
            leader=lambda: ownership.id,
        ),
    )


def _notifier(
    settings: Settings, stores: Stores, clock: Callable[[], datetime], ownership: Ownership
) -> Notifier:
    """Return what tells webhooks, on the one server that lets jobs in."""
    return Notifier(
        stores.objects.events,
        settings.notified(),
        clock,
        webhooks.post,
        leads=lambda: ownership.leads,
    )


def _expiry(
    settings: Settings, stores: Stores, clock: Callable[[], datetime], ownership: Ownership
) -> Expiry:
    """Return what gives unfinished uploads up, on the one server that lets jobs in."""
    after = timedelta(days=settings.objects.abort_incomplete_uploads_after)
    return Expiry(stores.objects.uploads, clock, after, leads=lambda: ownership.leads)


def _retention(
    data: Path,
    settings: Settings,
    stores: Stores,
    clock: Callable[[], datetime],
    ownership: Ownership,
) -> Retention:
    """Return what forgets, on the one server that lets jobs in."""
    return Retention(
        settings.retention.keep(),
        jobs=stores.records,
        aged=AgedJobs(stores.database),
        logs=stores.logs,
        unsent=data / "unsent",
        clock=clock,
        leads=lambda: ownership.leads,
    )


def this_server(url: str, drivers: Mapping[str, Driver]) -> Server:
    """Return what the other servers of the records are told of this one.

    A place whose nodes have a way of their own to the server is no part of this machine: each
    server that knows it reaches it.
    """
    return Server(
        id=new_id(),
        url=url,
        machine=platform.node(),
        version=trainshed.__version__,
        reaches=tuple(drivers),
        bound=tuple(name for name, it in drivers.items() if not it.capabilities.server_url),
    )


def _site(
    data: Path, settings: Settings, url: str, secret: str, drivers: Mapping[str, Driver]
) -> Site:
    """Return where this server stands, as its nodes need to know it."""
    return Site(
        server_url=url,
        secret=secret,
        objects={
            "endpoint": url,
            "region": settings.region,
            "folder": str((data / "objects").absolute()),
        },
        stores=tuple(store.access() for store in settings.stores),
        file_roots=settings.file_roots,
        file_systems=settings.file_systems,
        cache=str(data / "cache"),
        cache_limit=settings.cache_bytes(),
        capabilities={name: driver.capabilities for name, driver in drivers.items()},
    )


def operations(
    stores: Stores,
    settings: Settings,
    clock: Callable[[], datetime],
    drivers: Mapping[str, Driver] = MappingProxyType({}),
    process: Process | None = None,
) -> dict[tuple[str, str], Operation]:
    """Return everything this server offers, by service and operation."""
    process = process or Process()
    records, account = stores.records, settings.account
    capabilities = {name: driver.capabilities for name, driver in drivers.items()}
    lineup = sharing.lineup(
        sharing.policy(settings.queue, settings.projects), capabilities, settings.backend
    )
    create = CreateTraining(
        records=records,
        data=Data(stores.objects, settings.file_roots, elsewhere(settings), settings.file_systems),
        account=account,
        clock=clock,
        new_id=lambda: secrets.token_hex(6),
        backends=drivers,
        owner=process.owner,
        rules=sharing.rules(settings.projects, settings.spot, capabilities, settings.backend),
    )
    return offered(
        create.operations(),
        ReadTraining(records=records, account=account).operations(),
        ChangeTraining(records=records, account=account, clock=clock).operations(),
        SearchTraining(records=records, tags=stores.tags).operations(),
        ResourceTags(records=records, tags=stores.tags).operations(),
        AbsentKinds(account=account).operations(),
        LogOperations(stores.logs, account=account, clock=clock).operations(),
        s3.operations(
            stores.objects,
            clock,
            settings.webhooks,
            elsewhere=tuple(Access.of(store.access()) for store in settings.stores),
        ),
        Identity(account=account, records=records).operations(),
        Roles(account=account).operations(),
        own.operations(
            records,
            account,
            clock,
            own.Places(
                backends=capabilities, default=settings.backend, lineup=lambda: lineup(clock())
            ),
            process.collect,
            AwaitTraining(
                feed=JobFeed(stores.database), changes=stores.changes, stopping=process.stopping
            ),
        ),
    )


def elsewhere(settings: Settings) -> Elsewhere:
    """Return the stores beside the server's own, to be asked for a moment at most."""
    stores = [store.access() for store in settings.stores]
    return Elsewhere(RemoteObjects({}, stores=stores, patience=Patience(seconds=1.0)))
