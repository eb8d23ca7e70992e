"""Bucket notifications: who is told of what happens to objects.

Where Amazon S3 tells a topic, a queue or a function, this server posts to a webhook: the last part
of the ARN names it in the settings, so ``arn:aws:sqs:us-east-1:123456789012:models`` is told at
``[webhooks.models]``. One configuration works on both.

Source: Amazon S3 API Reference, PutBucketNotificationConfiguration; User Guide, "Event notification
types and destinations".
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, Final
from uuid import uuid4

from trainshed.api.s3.refusals import invalid_argument
from trainshed.stores.objects import events
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.events import Subscription
from trainshed.wire.message import Call

_KINDS: Final = {
    "TopicConfigurations": "TopicArn",
    "QueueConfigurations": "QueueArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
"""The three lists of a configuration, and what names the destination in each."""
_HAPPENING: Final = frozenset(
    {
        events.PUT,
        events.POST,
        events.COPY,
        events.MULTIPART,
        events.DELETE,
        events.TAGGED,
        events.UNTAGGED,
        "ObjectCreated:*",
        "ObjectRemoved:*",
        "ObjectTagging:*",
    }
)
"""Events that can be asked for here; others never happen in this store."""


class NotificationOperations:
    """PutBucketNotificationConfiguration and GetBucketNotificationConfiguration."""

    def __init__(
        self, store: EmbeddedObjects, webhooks: Collection[str], clock: Callable[[], datetime]
    ) -> None:
        """``webhooks`` are the names that the settings give an address."""
        self._store = store
        self._webhooks = webhooks
        self._clock = clock

    async def put(self, call: Call) -> dict[str, Any]:
        """Replace a bucket's subscriptions; each webhook gets a test event.

        Raises:
            RequestRejected: ``InvalidArgument``; nothing was changed.
        """
        asked = _named(call.params.get("NotificationConfiguration") or {})
        skip = bool(call.params.get("SkipDestinationValidation"))
        subscriptions = list(self._subscriptions(asked, skip=skip))
        _check_unambiguous(subscriptions)
        bucket: str = call.params["Bucket"]
        await self._store.bucket(bucket)
        await self._store.events.configure(bucket, asked, subscriptions, self._clock())
        return {}

    async def get(self, call: Call) -> dict[str, Any]:
        """Return a bucket's configuration as it was put; nothing when none was."""
        bucket: str = call.params["Bucket"]
        await self._store.bucket(bucket)
        return await self._store.events.configuration(bucket)

    def _subscriptions(self, asked: Mapping[str, Any], *, skip: bool) -> Iterator[Subscription]:
        if asked.get("EventBridgeConfiguration") is not None:
            raise invalid_argument(
                "EventBridge is not offered by this server; configure a queue whose ARN ends with "
                "the name of a webhook in its settings."
            )
        for kind, arn in _KINDS.items():
            for each in asked.get(kind) or ():
                webhook = each[arn].rpartition(":")[2]
                if webhook not in self._webhooks and not skip:
                    known = ", ".join(sorted(self._webhooks)) or "none"
                    raise invalid_argument(
                        "Unable to validate the following destination configurations: "
                        f'"{each[arn]}" ends with "{webhook}", which is no webhook of this '
                        f"server's settings (known: {known}); add [webhooks.{webhook}] with its url"
                    )
                prefix, suffix = _filter(each)
                yield Subscription(
                    id=each["Id"],
                    webhook=webhook,
                    events=tuple(_event(name) for name in each["Events"]),
                    prefix=prefix,
                    suffix=suffix,
                )


def _named(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with an id for each part that came without."""
    found = dict(asked)
    for kind in _KINDS:
        if asked.get(kind):
            found[kind] = [{**each, "Id": each.get("Id") or str(uuid4())} for each in asked[kind]]
    return found


def _event(name: str) -> str:
    bare = name.removeprefix("s3:")
    if bare not in _HAPPENING:
        known = ", ".join(f"s3:{each}" for each in sorted(_HAPPENING))
        raise invalid_argument(
            f"The event '{name}' is not supported for notifications; use one of {known}"
        )
    return bare


def _filter(asked: Mapping[str, Any]) -> tuple[str, str]:
    """Return the prefix and the suffix that keys must have."""
    found: dict[str, str] = {}
    rules: Sequence[Mapping[str, str]] = ((asked.get("Filter") or {}).get("Key") or {}).get(
        "FilterRules"
    ) or ()
    for rule in rules:
        name = str(rule.get("Name", "")).lower()
        if name not in {"prefix", "suffix"}:
            raise invalid_argument("filter rule name must be either prefix or suffix")
        if name in found:
            raise invalid_argument(f"Cannot specify more than one {name} rule in a filter.")
        found[name] = rule.get("Value") or ""
    return found.get("prefix", ""), found.get("suffix", "")


def _check_unambiguous(subscriptions: Sequence[Subscription]) -> None:
    """Refuse two subscriptions that one event would match, as S3 does."""
    for one, other in combinations(subscriptions, 2):
        if (
            _share_events(one, other)
            and _overlap(one.prefix, other.prefix, str.startswith)
            and _overlap(one.suffix, other.suffix, str.endswith)
        ):
            raise invalid_argument(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two "
                "rules if the prefixes are overlapping for the same event type."
            )


def _share_events(one: Subscription, other: Subscription) -> bool:
    return any(
        a == b or (a.partition(":")[0] == b.partition(":")[0] and "*" in a + b)
        for a in one.events
        for b in other.events
    )


def _overlap(one: str, other: str, begins: Callable[[str, str], bool]) -> bool:
    return begins(one, other) or begins(other, one)
