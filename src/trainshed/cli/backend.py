"""``trainshed backend``: the places where jobs run, and another one among them."""

import secrets
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trainshed.app import clock, settings, settings_file
from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir, Output, spread
from trainshed.cli.output import Format
from trainshed.client import server
from trainshed.client.errors import ClientError

_KUBERNETES: Final = "kubernetes"

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        show_default=False,
        help="Settings file [default: trainshed.toml in the server's folder].",
    ),
]


def backend() -> None:
    """Show the places where jobs run, or add one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """What can be typed after ``trainshed backend add``."""

    name: Annotated[str, typer.Argument(metavar="NAME", help="What jobs call it: --on NAME.")]
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="kubernetes, docker, local or simulated.")
    ] = _KUBERNETES
    server_url: Annotated[
        str,
        typer.Option("--server-url", metavar="URL", help="How its pods reach this server."),
    ] = ""
    agent_image: Annotated[
        str,
        typer.Option("--agent-image", metavar="IMAGE", help="Image with Trainshed, for its pods."),
    ] = ""
    namespace: Annotated[
        str,
        typer.Option("--namespace", metavar="NAME", help="Where pods go [default: the context's]."),
    ] = ""
    context: Annotated[
        str, typer.Option("--context", metavar="NAME", help="Of the kubeconfig file.")
    ] = ""
    kubeconfig: Annotated[
        str, typer.Option("--kubeconfig", metavar="FILE", help="[default: KUBECONFIG, or yours].")
    ] = ""
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="OPTION=VALUE", help="Another option of it: --set max_nodes=20."
        ),
    ] = None
    check: Annotated[bool, typer.Option("--check", help="Only ask the cluster; write nothing.")] = (
        False
    )
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Have a pod ask for this server, which must be running."),
    ] = False
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write it, whatever the cluster answers.")
    ] = False
    config: Config = None
    shown_as: Output = Format.TABLE
    data_dir: DataDir = None


@spread(AddOptions)
def add(options: AddOptions) -> None:
    """Write a backend into the settings file, once the cluster allows what is needed.

    What is not allowed is shown, with the rules that grant it. Exit code 1: something is missing,
    and nothing was written.
    """
    path = _settings_file(options.config, options.data_dir)
    told = _told(options)
    made = settings_file.checked(options.name, options.kind, told)
    found: Mapping[str, Any] = {}
    if options.kind == _KUBERNETES:
        shown = options.shown_as is Format.TABLE
        found = _ask_cluster(made.options, shown=shown, probing=options.probe)
    good = not (found.get("missing") or found.get("troubles"))
    written = (good or options.anyway) and not options.check
    if written:
        settings_file.add_backend(path, options.name, options.kind, told)
    if options.shown_as in {Format.JSON, Format.JSONL}:
        facts = {"backend": options.name, "written": str(path) if written else None, **found}
        print(output.dumps(facts, indent=2 if options.shown_as is Format.JSON else None))
    elif written:
        print(f"added [backends.{options.name}] to {path}")
        output.note(f"a server that runs learns of it when it starts again: {_restart(options)}")
    elif good:
        print("all is there")
    else:
        output.note("nothing was written; --anyway writes it all the same")
    if not good and not (written and options.anyway):
        raise typer.Exit(exits.ERROR)


def ls(config: Config = None, shown_as: Output = Format.TABLE, data_dir: DataDir = None) -> None:
    """List the backends that are configured, and those that the server offers."""
    path = _settings_file(config, data_dir)
    chosen = settings.load(path if path.exists() else None)
    running = server.find(session.folder(data_dir), clock.now)
    served = dict(running.backends) if running else {}
    kinds = {"local": "local"} | ({"docker": "docker"} if chosen.backends.docker else {})
    kinds |= {name: each.kind for name, each in chosen.backends.further.items()}
    kinds |= {name: runtime for name, runtime in served.items() if name not in kinds}
    rows = [
        {
            "Name": name,
            "Kind": kind,
            "Default": name == (running.backend if running else chosen.backend),
            "Offered": name in served,
        }
        for name, kind in kinds.items()
    ]
    if shown_as in {Format.JSON, Format.JSONL}:
        print(output.dumps(rows, indent=2 if shown_as is Format.JSON else None))
    elif shown_as is Format.NAME:
        print("\n".join(kinds))
    else:
        lines = [
            [str(row["Name"]), str(row["Kind"]), _standing(row, running is not None)]
            for row in rows
        ]
        print(output.table(["NAME", "KIND", ""], lines))


def _standing(row: Mapping[str, Any], running: bool) -> str:
    if not running:
        return "default" if row["Default"] else ""
    if not row["Offered"]:
        return "once the server starts again"
    return "default" if row["Default"] else "offered"


def _settings_file(config: Path | None, data_dir: Path | None) -> Path:
    """Return the file that the folder's server reads, or would."""
    if config is not None:
        return config
    place = session.folder(data_dir)
    running = server.find(place, clock.now)
    return (running.config if running else None) or place / "trainshed.toml"


def _told(options: AddOptions) -> dict[str, Any]:
    """Return the backend's options as they were typed.

    Raises:
        ClientError: one is missing.
    """
    typed = {
        name: getattr(options, name)
        for name in ("server_url", "agent_image", "namespace", "context", "kubeconfig")
        if getattr(options, name)
    }
    if options.kind != _KUBERNETES and typed:
        raise ClientError(
            f"a backend of the kind {options.kind} has no {', '.join(typed)}",
            "docs/settings.md has the options of each kind; give them by --set OPTION=VALUE",
        )
    if "kubeconfig" in typed:
        typed["kubeconfig"] = str(Path(typed["kubeconfig"]).expanduser().resolve())
    typed |= dict(map(_option, options.further or []))
    needed = {
        "server_url": "--server-url http://HOST:PORT: pods must reach this server; start it with "
        "'trainshed up --host 0.0.0.0', and name an address of this machine",
        "agent_image": "--agent-image IMAGE: docker build --file deploy/Dockerfile makes it",
    }
    for name, remedy in needed.items():
        if options.kind == _KUBERNETES and name not in typed:
            raise ClientError(f"a cluster needs {name}", remedy)
    return typed


def _option(text: str) -> tuple[str, Any]:
    """Return ``name=value``; a value that is none of TOML's is taken as text."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"{text!r} is not OPTION=VALUE", param_hint="--set")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _ask_cluster(options: Any, *, shown: bool, probing: bool) -> dict[str, Any]:  # noqa: ANN401 - of the kind
    """Return what the cluster is and lacks, and show it.

    Raises:
        ClientError: what talks to clusters is not installed.
        DriverError: it can't be asked.
    """
    review = _review()
    accounts = {options.service_account, *options.service_accounts.values()}
    with review.Cluster(
        kubeconfig=options.kubeconfig, context=options.context, namespace=options.namespace
    ) as cluster:
        look = cluster.look(accounts)
        if probing and not (look.missing or look.troubles):
            name = f"trainshed-probe-{secrets.token_hex(4)}"
            said = cluster.probe(name, options, time.sleep)
            look = replace(look, troubles=(said,) if said else ())
    if shown:
        print(f"kubernetes {look.version} at {look.url}, namespace {look.namespace}")
        if look.missing:
            _show_missing(look)
        for trouble in look.troubles:
            output.trouble("no job would run there", trouble, "see above, then the same again")
        for each in look.unknown:
            output.note(f"not known: {each}")
    return {
        "url": look.url,
        "version": look.version,
        "namespace": look.namespace,
        "missing": [
            {
                "who": each.who,
                "group": each.permission.group,
                "resource": each.permission.resource,
                "verbs": list(each.permission.verbs),
            }
            for each in look.missing
        ],
        "troubles": list(look.troubles),
        "unknown": list(look.unknown),
    }


def _review() -> Any:  # noqa: ANN401 - a module
    """Return what asks clusters; nothing but this command needs it here.

    Raises:
        ClientError: it is in an extra that is not installed.
    """
    try:
        return import_module("trainshed.drivers.kubernetes.review")
    except ModuleNotFoundError as error:
        raise ClientError(
            f"what talks to clusters is not installed ({error.name})",
            "pip install 'trainshed[kubernetes]'",
        ) from error


def _show_missing(look: Any) -> None:  # noqa: ANN401 - of that module
    rows = [
        [
            each.who,
            ".".join(filter(None, (each.permission.resource, each.permission.group))),
            ", ".join(each.permission.verbs),
            each.permission.why,
        ]
        for each in look.missing
    ]
    print(output.table(["MISSING FOR", "RESOURCE", "VERBS", "NEEDED TO"], rows))
    print("\nWhat grants it, for: kubectl apply -f -")
    print(_review().manifests(look.namespace, look.missing, look.user), end="")


def _restart(options: AddOptions) -> str:
    where = f" --data-dir {options.data_dir}" if options.data_dir else ""
    return f"trainshed down{where} && trainshed up -d{where}"
