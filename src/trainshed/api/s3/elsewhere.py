"""Refuses to write what belongs in another store: the server would keep it where no job looks.

Reading and removing go on, for what was written before a store was named in the settings.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainshed.api.operations import Operation
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access, fitting
from trainshed.wire.message import Call, Reply

_WRITES: Final = frozenset({"CreateBucket", "PutObject", "CopyObject", "CreateMultipartUpload"})


def here_only(name: str, operation: Operation, stores: Sequence[Access]) -> Operation:
    """Return an operation that writes nothing to addresses of ``stores``.

    ``name`` is the operation's in the model. It raises ``RequestRejected`` with the prefix and the
    endpoint of the store that the address lies in.
    """
    if name not in _WRITES or not stores:
        return operation

    async def carried_out(call: Call) -> dict[str, Any] | Reply:
        address = _written(call.params)
        if (owner := fitting(stores, address)) is not None:
            raise _refusal(address, owner, whole=name == "CreateBucket")
        return await operation(call)

    return carried_out


def _written(asked: Mapping[str, Any]) -> Address:
    return Address("s3", asked["Bucket"], asked.get("Key") or "")


def _refusal(address: Address, owner: Access, *, whole: bool) -> RequestRejected:
    where = f" at {owner.endpoint}" if owner.endpoint else ""
    words = (
        f'{address} lies in the store{where} that [[stores]] with prefix = "{owner.prefix}" names '
        "in this server's settings. Jobs read it there, so nothing of it is kept here: use "
        "'trainshed data put', or your client with that store's endpoint and keys."
    )
    # What clients know for a name that is not to be had; they don't try it again.
    code, status = ("BucketAlreadyExists", 409) if whole else ("InvalidRequest", 400)
    return RequestRejected(code, words, status)
