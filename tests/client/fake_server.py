"""A server with memory: the calls that the client makes, answered from plain dicts.

Jobs do not run here. A test says what a job's phases and lines are, and the server tells them.
"""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from trainshed.client.api import Api, Credentials

KEYS = Credentials(access_key="AKFAKE", secret_key="secret", region="eu-test-1")
ACCOUNT = "123456789012"
EPOCH = 1_767_225_600.0

Job = dict[str, Any]


class Refusal(Exception):
    """What is answered instead of a result."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class FakeServer:
    """Everything the server remembers; tests read and change it."""

    buckets: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)
    """``bucket/key`` to content."""
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """Upload to ``bucket/key``."""
    jobs: dict[str, Job] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Log stream to (milliseconds, text)."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """ARN to tags."""
    backends: dict[str, str] = field(default_factory=lambda: {"local": "process"})
    """Name to runtime; the first is the default."""
    asked: list[str] = field(default_factory=list)
    """Operations and paths in the order they came."""
    on_describe: Callable[[Job], None] = lambda job: None
    """Called before a job is described: where tests let time pass."""
    on_create: Callable[[Job], None] = lambda job: None
    on_upload: Callable[[str], None] = lambda upload: None
    refuse_tokens: bool = False
    most_of_a_page: int = 100
    status_of_ranges: int = 206
    unsigned: bool = False
    """Whether it answers who signs nothing."""
    told_size: int = 0
    """What HEAD says that every object has, in bytes; 0 for the truth."""
    url: str = ""
    opened: list[Api] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def api(self) -> Api:
        """Return calls to this server."""
        api = Api(self.url, KEYS, now=lambda: datetime.now(UTC), timeout=10.0)
        self.opened.append(api)
        return api

    def json(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation of SageMaker or CloudWatch Logs."""
        words = re.sub(r"(?<!^)([A-Z])", r"_\1", operation.partition(".")[2]).lower()
        method = getattr(self, f"_{words}", None)
        if method is None:
            raise Refusal(400, "UnknownOperationException", operation)
        result: dict[str, Any] = method(params)
        return result

    def add_job(self, name: str, **members: Any) -> Job:
        """Remember a job as DescribeTrainingJob shows it."""
        created = EPOCH + len(self.jobs)
        job: Job = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:eu-test-1:{ACCOUNT}:training-job/{name}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [],
            "CreationTime": created,
            "LastModifiedTime": created,
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://out/{name}/output/model.tar.gz"},
            "AlgorithmSpecification": {"TrainingImage": "trainshed/python"},
            "OutputDataConfig": {"S3OutputPath": "s3://out/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **members,
        }
        self.jobs[name] = job
        return job

    def move(self, job: Job, secondary: str, status: str = "InProgress", message: str = "") -> None:
        """Let a job enter a phase, one second after the last."""
        entries = job["SecondaryStatusTransitions"]
        at = job["LastModifiedTime"] + 1.0
        for entry in entries:
            entry.setdefault("EndTime", at)
        entry = {"Status": secondary, "StartTime": at, "StatusMessage": message or secondary}
        if status != "InProgress":
            entry["EndTime"] = at
            job["TrainingEndTime"] = at
        entries.append(entry)
        job |= {"SecondaryStatus": secondary, "TrainingJobStatus": status, "LastModifiedTime": at}

    def _create_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TrainingJobName"]
        if name in self.jobs:
            raise Refusal(400, "ResourceInUse", "Training job names must be unique")
        tags = {tag["Key"]: tag["Value"] for tag in params.pop("Tags", ())}
        job = self.add_job(name, **params)
        self.tags[job["TrainingJobArn"]] = tags
        self.on_create(job)
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def _describe_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(params)
        self.on_describe(job)
        return job

    def _stop_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        job = self._job(params)
        if job["TrainingJobStatus"] != "InProgress":
            raise Refusal(400, "ValidationException", "The request was rejected because …")
        self.move(job, "Stopping", "Stopping")
        return {}

    def _delete_training_job(self, params: dict[str, Any]) -> dict[str, Any]:
        del self.jobs[self._job(params)["TrainingJobName"]]
        return {}

    def _list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.tags.get(params["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]}

    def health(self) -> dict[str, Any]:
        """Return what ``/healthz`` answers."""
        return {
            "status": "ok",
            "version": "0.0.fake",
            "backend": next(iter(self.backends)),
            "backends": {name: {"runtime": kind} for name, kind in self.backends.items()},
        }

    def _list_training_jobs(self, params: dict[str, Any]) -> dict[str, Any]:
        sign = 1 if params.get("SortOrder") == "Ascending" else -1
        found = [
            job
            for job in sorted(self.jobs.values(), key=lambda job: sign * job["CreationTime"])
            if params.get("NameContains", "") in job["TrainingJobName"]
            and params.get("StatusEquals", job["TrainingJobStatus"]) == job["TrainingJobStatus"]
            and job["LastModifiedTime"] > params.get("LastModifiedTimeAfter", 0)
        ]
        begin = int(params.get("NextToken", 0))
        count = min(params.get("MaxResults", 10), self.most_of_a_page)
        answer: dict[str, Any] = {"TrainingJobSummaries": found[begin : begin + count]}
        if len(found) > begin + count:
            answer["NextToken"] = str(begin + count)
        return answer

    def _describe_log_streams(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.lines:
            raise Refusal(400, "ResourceNotFoundException", "The specified log group …")
        prefix, behind = params["logStreamNamePrefix"], params.get("nextToken", "")
        found = sorted(n for n in self.lines if n.startswith(prefix) and n > behind)
        page = found[: params["limit"]]
        answer: dict[str, Any] = {"logStreams": [{"logStreamName": name} for name in page]}
        if len(found) > len(page):
            answer["nextToken"] = page[-1]
        return answer

    def _get_log_events(self, params: dict[str, Any]) -> dict[str, Any]:
        lines = self.lines[params["logStreamName"]]
        token = params.get("nextToken")
        if token is not None and self.refuse_tokens:
            self.refuse_tokens = False
            raise Refusal(400, "InvalidParameterException", "The specified nextToken is invalid.")
        begin = int(token or 0)
        page = [line for line in lines[begin:] if line[0] >= params.get("startTime", 0)][:3]
        end = lines.index(page[-1], begin) + 1 if page else begin
        events = [{"timestamp": at, "message": text, "ingestionTime": at} for at, text in page]
        return {"events": events, "nextForwardToken": str(end), "nextBackwardToken": "0"}

    def _job(self, params: dict[str, Any]) -> Job:
        try:
            return self.jobs[params["TrainingJobName"]]
        except KeyError:
            raise Refusal(400, "ValidationException", "Requested resource not found.") from None

    def s3(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[bytes, str]:
        """Carry out an S3 request; return (payload, ETag)."""
        bucket, _, key = path.partition("/")
        if not key:
            return self._bucket(method, bucket, query), ""
        match method:
            case "GET" if "uploadId" in query:
                return self._parts(query["uploadId"]), ""
            case "POST" if "uploads" in query:
                upload = f"u{next(self._number)}"
                self.uploads[upload] = {}
                self.keys[upload] = path
                self.on_upload(upload)
                return f"<R><UploadId>{upload}</UploadId></R>".encode(), ""
            case "POST":
                parts = self.uploads.pop(query["uploadId"])
                self.objects[path] = b"".join(parts[number] for number in sorted(parts))
                return b"<R/>", ""
            case "PUT" if "uploadId" in query:
                self._take_part(query["uploadId"], int(query["partNumber"]), body)
                return b"", f'"{md5(body).hexdigest()}"'
            case "PUT":
                self.objects[path] = body
                return b"", '"whole"'
            case "DELETE" if "uploadId" in query:
                del self.uploads[query["uploadId"]]
                return b"", ""
            case "DELETE":
                self.objects.pop(path, None)
                return b"", ""
        if path not in self.objects:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        return self.objects[path], f'"{md5(self.objects[path]).hexdigest()}"'

    def _take_part(self, upload: str, number: int, body: bytes) -> None:
        if upload not in self.uploads:
            raise Refusal(404, "NoSuchUpload", "The specified upload does not exist.")
        self.uploads[upload][number] = body

    def _parts(self, upload: str) -> bytes:
        found = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{len(body)}</Size>"
            f"<ETag>&quot;{md5(body).hexdigest()}&quot;</ETag></Part>"
            for number, body in sorted(self.uploads[upload].items())
        )
        return f"<ListPartsResult>{found}</ListPartsResult>".encode()

    def _bucket(self, method: str, bucket: str, query: dict[str, str]) -> bytes:
        if method == "PUT":
            self.buckets.add(bucket)
        elif method == "HEAD" and bucket not in self.buckets:
            raise Refusal(404, "NoSuchBucket", "Not Found")
        elif "uploads" in query:
            found = "".join(
                f"<Upload><Key>{path.partition('/')[2]}</Key><UploadId>{upload}</UploadId>"
                "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm></Upload>"
                for upload, path in self.keys.items()
                if upload in self.uploads
            )
            return f"<ListMultipartUploadsResult>{found}</ListMultipartUploadsResult>".encode()
        prefix = f"{bucket}/{query.get('prefix', '')}"
        after = query.get("continuation-token", f"{bucket}/{query.get('start-after', '')}")
        listed = [
            (path, body)
            for path, body in sorted(self.objects.items())
            if path.startswith(prefix) and path > after
        ]
        page, rest = listed[: self.most_of_a_page], listed[self.most_of_a_page :]
        found = "".join(
            f"<Contents><Key>{path.partition('/')[2]}</Key><Size>{len(body)}</Size>"
            f"<ETag>&quot;{md5(body).hexdigest()}&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for path, body in page
        )
        more = f"<NextContinuationToken>{page[-1][0]}</NextContinuationToken>" if rest else ""
        more += f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>"
        return f"<ListBucketResult>{found}{more}</ListBucketResult>".encode()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        target = self.headers.get("x-amz-target", "")
        self.fake.asked.append(target.partition(".")[2] or f"{self.command} {parts.path}")
        try:
            if parts.path == "/healthz":
                self._send(200, json.dumps(self.fake.health()).encode())
                return
            self._check_signed()
            if target:
                result = self.fake.json(target, json.loads(body))
                self._send(200, json.dumps(result).encode() if result else b"")
            elif parts.path == "/":
                self._send(200, f"<R><Account>{ACCOUNT}</Account></R>".encode())
            else:
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                path = unquote(parts.path).removeprefix("/")
                payload, etag = self.fake.s3(self.command, path, query, body)
                begin, end = self._range()
                if end:
                    span = f"bytes {begin}-{end}/{len(payload)}"
                    payload = payload[begin : end + 1]
                    self._send(self.fake.status_of_ranges, payload, etag=etag, span=span)
                else:
                    self._send(200, payload, etag=etag)
        except Refusal as refusal:
            text = {"__type": refusal.code, "message": refusal.message}
            xml = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
            self._send(refusal.status, json.dumps(text).encode() if target else xml.encode())

    def _send(self, status: int, payload: bytes, *, etag: str = "", span: str = "") -> None:
        self.send_response(status)
        told = self.fake.told_size if self.command == "HEAD" else 0
        self.send_header("content-length", str(told or len(payload)))
        if etag:
            self.send_header("etag", etag)
            self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if span:
            self.send_header("content-range", span)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # the client broke it off
                self.wfile.write(payload)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def _range(self) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def _check_signed(self) -> None:
        signed = "Signature=" in self.headers.get("authorization", "")
        if not signed and not self.fake.unsigned:
            raise Refusal(403, "MissingAuthenticationTokenException", "sign it")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(fake: FakeServer, port: int = 0) -> Iterator[FakeServer]:
    """Serve on a loopback port until the block ends."""
    requests = type("Requests", (_Requests,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", port), requests) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
            for api in fake.opened:
                api.close()


def announce(fake: FakeServer, data_dir: Path, pid: int) -> None:
    """Write the files by which a command finds the server."""
    data_dir.mkdir(parents=True, exist_ok=True)
    found = {"pid": pid, "url": fake.url, "started": "2026-01-01T00:00:00Z", "version": "0.0.fake"}
    keys = {
        "access_key": KEYS.access_key,
        "secret_key": KEYS.secret_key,
        "region": KEYS.region,
    }
    (data_dir / "server.json").write_text(json.dumps(found))
    (data_dir / "credentials.json").write_text(json.dumps(keys))
