"""The table of S3's operations."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from trainshed.api.operations import Operation
from trainshed.api.s3.buckets import BucketOperations
from trainshed.api.s3.copies import CopyOperations
from trainshed.api.s3.elsewhere import here_only
from trainshed.api.s3.listings import ListingOperations
from trainshed.api.s3.multipart import MultipartOperations
from trainshed.api.s3.notifications import NotificationOperations
from trainshed.api.s3.object_attributes import ObjectAttributesOperation
from trainshed.api.s3.objects import ObjectOperations
from trainshed.api.s3.refusals import refusal
from trainshed.api.s3.upload_listings import UploadListingOperations
from trainshed.domain.errors import StoreError
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.remote.access import Access
from trainshed.wire.message import Call, Reply


def operations(
    store: EmbeddedObjects,
    clock: Callable[[], datetime],
    webhooks: Collection[str] = (),
    elsewhere: Sequence[Access] = (),
) -> dict[tuple[str, str], Operation]:
    """Return S3's operations on a store, by ``("s3", name)``; ``webhooks`` may be told of it.

    Nothing is written to addresses of the stores ``elsewhere``.
    """
    buckets = BucketOperations(store)
    objects = ObjectOperations(store)
    copies = CopyOperations(store)
    listings = ListingOperations(store)
    multipart = MultipartOperations(store)
    uploads = UploadListingOperations(store)
    notifications = NotificationOperations(store, webhooks, clock)
    table: dict[str, Operation] = {
        "ListBuckets": buckets.list_buckets,
        "CreateBucket": buckets.create_bucket,
        "HeadBucket": buckets.head_bucket,
        "DeleteBucket": buckets.delete_bucket,
        "GetBucketLocation": buckets.get_bucket_location,
        "GetBucketVersioning": buckets.get_bucket_versioning,
        "GetBucketNotificationConfiguration": notifications.get,
        "PutBucketNotificationConfiguration": notifications.put,
        "PutObject": objects.put_object,
        "GetObject": objects.get_object,
        "HeadObject": objects.head_object,
        "DeleteObject": objects.delete_object,
        "DeleteObjects": objects.delete_objects,
        "GetObjectAttributes": ObjectAttributesOperation(store).get_object_attributes,
        "GetObjectTagging": objects.get_object_tagging,
        "PutObjectTagging": objects.put_object_tagging,
        "DeleteObjectTagging": objects.delete_object_tagging,
        "CopyObject": copies.copy_object,
        "UploadPartCopy": copies.upload_part_copy,
        "ListObjectsV2": listings.list_objects_v2,
        "ListObjects": listings.list_objects,
        "CreateMultipartUpload": multipart.create_multipart_upload,
        "UploadPart": multipart.upload_part,
        "CompleteMultipartUpload": multipart.complete_multipart_upload,
        "AbortMultipartUpload": multipart.abort_multipart_upload,
        "ListParts": multipart.list_parts,
        "ListMultipartUploads": uploads.list_multipart_uploads,
    }
    return {
        ("s3", name): _in_s3_words(here_only(name, operation, elsewhere))
        for name, operation in table.items()
    }


def _in_s3_words(operation: Operation) -> Operation:
    """Return the operation, with what the store refuses said as S3 says it."""

    async def carried_out(call: Call) -> dict[str, Any] | Reply:
        try:
            return await operation(call)
        except StoreError as error:
            said = refusal(error)
            if said is None:
                raise
            raise said from error

    return carried_out
