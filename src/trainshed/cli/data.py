"""``trainshed data``: files and folders to buckets, buckets to files and folders."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from trainshed.cli import output, session
from trainshed.cli.options import ByEnvironment, DataDir, Output
from trainshed.cli.output import Format
from trainshed.cli.progress import bytes_bar
from trainshed.client import objects, upload
from trainshed.client.api import Api
from trainshed.client.download import Download, bring, bring_all, prefix_of
from trainshed.client.errors import ApiError, ClientError
from trainshed.client.objects import Entry, Folder
from trainshed.client.stores import Stores
from trainshed.client.upload import Unfinished, Upload
from trainshed.domain import sizes


def data() -> None:
    """Move data to and from buckets.

    Who is interrupted, or killed, runs the same command again: it goes on from there.
    """


def put(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="A file or a folder.")],
    uri: Annotated[
        str,
        typer.Argument(
            metavar="s3://BUCKET/PREFIX/", help="Where it goes; without the last / a file's name."
        ),
    ],
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, max=64, help="Requests at a time.")
    ] = 4,
    shown_as: Output = Format.TABLE,
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """Send a file or folder to a bucket: what is missing there, or differs.

    Links are followed. A bucket that is not there is made, unless --aws is given.
    """
    bucket, key = objects.split_uri(uri)
    if source.is_dir() and key and not key.endswith("/"):
        key += "/"
    found = upload.look(source)
    api = session.reach(data_dir, by_environment)
    if by_environment and not objects.has_bucket(api, bucket):
        raise objects.no_bucket(bucket)
    ours = not by_environment and api.store_of(f"s3://{bucket}/{key}") is None
    if ours and objects.ensure_bucket(api, bucket):
        output.note(f"made the bucket {bucket}")
    with bytes_bar("sending", found.size) as progress:
        how = Upload(
            api=api,
            progress=progress,
            sleep=time.sleep,
            at_once=at_once,
            left=lambda left: _tell_of_left(left, api),
        )
        sent = upload.put(how, found, bucket=bucket, key=key)
    if found.left_out:
        output.note(
            f"left out: {found.left_out} that are no files (broken links, sockets, pipes, devices)"
        )
    address = f"s3://{bucket}/{key}"
    facts = {"files": sent.files, "bytes": sent.bytes, "same": sent.same}
    _told(shown_as, {"address": address, **facts, "left_out": found.left_out}, address, "sent")


def get(
    uri: Annotated[
        str,
        typer.Argument(metavar="s3://BUCKET/KEY", help="An object; with / at its end a folder."),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="[PATH]", help="The file or folder it becomes.")
    ] = Path(),
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, max=64, help="Objects at a time.")
    ] = 8,
    shown_as: Output = Format.TABLE,
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """Bring an object, or all below a prefix: what is missing here, or differs.

    Everything is compared with its checksum. Other files in the folder are left alone.
    """
    if not uri.startswith(("gs://", "az://")):
        objects.split_uri(uri)  # what is no address starts no server
    key = prefix_of(uri)
    folder = not key or key.endswith("/")
    api = session.reach(data_dir, by_environment)
    place = target if folder or not target.is_dir() else target / key.rpartition("/")[2]
    with bytes_bar("bringing", None) as progress:
        how = Download(api=api, progress=progress, at_once=at_once)
        try:
            brought = (bring_all if folder else bring)(how, uri, place)
        except ApiError as error:
            if folder or error.code != "NoSuchKey" or not _is_folder(api, uri):
                raise
            raise ClientError(
                f"{uri} is a folder", f"trainshed data get {uri}/ {target}"
            ) from error
    facts = {"files": brought.files, "bytes": brought.bytes, "same": brought.same}
    _told(shown_as, {"path": str(place.resolve()), **facts}, str(place), "brought")


def ls(
    uri: Annotated[
        str,
        typer.Argument(metavar="[s3://BUCKET/PREFIX]", help="What to list [default: the buckets]."),
    ] = "",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="What is in folders too.")
    ] = False,
    shown_as: Output = Format.TABLE,
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """List what begins with an address: folders as PRE, objects with time and bytes.

    Lines are printed as they come, so any number of objects can be listed.
    """
    if not uri:
        _show(shown_as, _buckets(session.reach(data_dir, by_environment)))
        return
    bucket, prefix = objects.split_uri(uri)
    api = session.reach(data_dir, by_environment)
    items = (objects.entries if recursive else objects.folder)(api, bucket, prefix)
    # As `aws s3 ls` does, names are relative to the folder, full ones where all are listed.
    above = "" if recursive else prefix[: prefix.rfind("/") + 1]
    if not _show(shown_as, (_row(item, above) for item in items)) and prefix:
        raise objects.missing(uri)


_Row = tuple[str, dict[str, Any]]
"""A line for people, and the same for programs."""


def _row(item: Entry | Folder, above: str) -> _Row:
    if isinstance(item, Folder):
        name = item.prefix.removeprefix(above)
        return f"{'PRE':>31}  {_shown(name)}", {"prefix": item.prefix}
    at = item.modified[:19].replace("T", " ")
    line = f"{at:<19}{item.size:>12}  {_shown(item.key.removeprefix(above))}"
    facts = {"key": item.key, "size": item.size, "etag": item.etag, "modified": item.modified}
    return line, facts


def _buckets(api: Api) -> Iterable[_Row]:
    for name, made in objects.buckets(api):
        yield f"{made[:19].replace('T', ' ')}  {name}", {"bucket": name, "created": made}


def _shown(name: str) -> str:
    """Return a name that keeps to its line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _show(shown_as: Format, rows: Iterable[_Row]) -> int:
    """Print rows as they come, and return how many there were."""
    count = 0
    for count, (line, facts) in enumerate(rows, 1):
        match shown_as:
            case Format.JSON:
                print(
                    "[" if count == 1 else ",", output.dumps(facts, indent=None), sep="\n  ", end=""
                )
            case Format.JSONL:
                print(output.dumps(facts, indent=None))
            case Format.NAME:
                print(next(iter(facts.values())))
            case Format.TABLE | Format.WIDE:
                print(line)
    if shown_as is Format.JSON:
        print("\n]" if count else "[]")
    return count


def _tell_of_left(left: Unfinished, api: Api) -> None:
    uri = f"s3://{left.bucket}/{left.key}"
    store = api.store_of(uri)
    where = f" --endpoint-url {store.url}" if store is not None else ""
    output.note(
        f"parts of {uri} are there, and take room: run the same command again to go on from them, "
        f"or give them up: aws s3api abort-multipart-upload --bucket {left.bucket} "
        f"--key {shlex.quote(left.key)} --upload-id {shlex.quote(left.upload)}{where}"
    )


def _is_folder(api: Api, uri: str) -> bool:
    return next(Stores(api).entries(f"{uri}/"), None) is not None


def _told(shown_as: Format, facts: dict[str, Any], name: str, verb: str) -> None:
    if shown_as in {Format.JSON, Format.JSONL}:
        print(output.dumps(facts, indent=2 if shown_as is Format.JSON else None))
        return
    print(name)
    if shown_as is not Format.NAME:
        moved = f"{output.plural(facts['files'], 'file')}, {sizes.written(facts['bytes'])}"
        there = f"; {facts['same']} were there already" if facts["same"] else ""
        output.note(f"{verb} {moved}{there}")
