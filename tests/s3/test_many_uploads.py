"""Many large uploads at once: all are kept, and the server stays small."""

import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit

from tests.s3.clients import Access

from trainshed.testing.server import Server

UPLOADS = 48
SIZE = 6 << 20


def test_many_uploads_at_once_keep_the_server_below_250_mb(
    server: Server, access: Access, bucket: str
) -> None:
    s3 = access.boto3()
    data = random.Random(1).randbytes(SIZE)

    def put(number: int) -> str:
        named = {"Bucket": bucket, "Key": str(number)}
        address = urlsplit(s3.generate_presigned_url("put_object", Params=named))
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        try:
            connection.request("PUT", f"{address.path}?{address.query}", body=data)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
            return str(answer.getheader("ETag"))
        finally:
            connection.close()

    with ThreadPoolExecutor(UPLOADS) as senders:
        assert set(senders.map(put, range(UPLOADS))) == {f'"{md5(data).hexdigest()}"'}
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [one["Size"] for one in listed] == [SIZE] * UPLOADS
    assert most_memory(server) < 250


def most_memory(server: Server) -> float:
    """Return the MB that a server had at most."""
    pid = json.loads((server.data / "server.json").read_text())["pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
