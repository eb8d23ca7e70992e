"""What a FastFile channel's prefix means: a folder, where other modes take it as plain text.

The same whether the channel is shown as it lies in the store, or its files are copied because this
machine can't show it.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from trainshed.agent.channels.items import BadInput
from trainshed.domain.errors import ObjectMissing
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects

_SHOWN: Final = 3


def as_folder(source: Mapping[str, Any], objects: RemoteObjects) -> Mapping[str, Any]:
    """Return a source whose prefix is a folder, or one object's whole key.

    In FastFile a prefix names a folder, while in other modes it is plain text.

    Raises:
        BadInput: it is no S3Prefix, or it is but the beginning of names.
        StoreError: the store refused, or stayed away.
    """
    uri, kind = source["S3Uri"], source["S3DataType"]
    if kind != "S3Prefix":
        raise BadInput(
            f"ClientError: FastFile takes the S3DataType S3Prefix only, not {kind}; use File or "
            "Pipe"
        )
    try:
        prefix = parse(uri)
    except ValueError as error:
        raise BadInput(f"ClientError: Data download failed:{error}") from error
    if not prefix.key or prefix.key.endswith("/"):
        return source
    try:
        if next(iter(objects.list(prefix.at(f"{prefix.key}/"))), None) is not None:
            return {**source, "S3Uri": f"{prefix}/"}
        some = list(itertools.islice(objects.list(prefix), _SHOWN))
    except ObjectMissing as missing:
        raise BadInput(f"ClientError: Data download failed:{missing}") from missing
    if some and some[0].key == prefix.key:
        return source
    if not some:
        raise BadInput(f"ClientError: Data download failed:S3 key: {uri} matched no files on s3")
    names = ", ".join(str(prefix.at(each.key)) for each in some)
    raise BadInput(
        f"ClientError: Data download failed:S3 key: {uri} is no folder: it is only the beginning "
        f"of other names ({names}), which FastFile does not take; name a whole folder, or use File"
    )
