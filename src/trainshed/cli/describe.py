"""``trainshed describe``: one job."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

from trainshed.app import clock
from trainshed.cli import live, output, session
from trainshed.cli.hints import hint
from trainshed.cli.options import DataDir, Job, Output
from trainshed.cli.output import Format
from trainshed.client import references
from trainshed.domain.names import (
    BACKEND_TAG,
    IMAGE_TAG,
    PREEMPTIBLE_TAG,
    PRIORITY_TAG,
    PROJECT_TAG,
)

_OURS: Final = (BACKEND_TAG, IMAGE_TAG, PREEMPTIBLE_TAG, PRIORITY_TAG, PROJECT_TAG)
"""Tags that have a line of their own."""
_PRIORITY: Final = 50
"""Of a job that says none."""


def describe(job: Job, shown_as: Output = Format.TABLE, data_dir: DataDir = None) -> None:
    """Show one job: what was asked, where it stands, what came of it."""
    server, _ = session.ensure(data_dir)
    api = server.api(clock.now)
    found = references.resolve(api, job)
    match shown_as:
        case Format.JSON:
            print(output.dumps(found))
        case Format.JSONL:
            print(output.dumps(found, indent=None))
        case Format.NAME:
            print(found["TrainingJobName"])
        case Format.TABLE | Format.WIDE:
            rows = _facts(found, references.tags(api, found), server.backend)
            _print(found, rows, wide=shown_as is Format.WIDE)


def _print(job: Mapping[str, Any], rows: list[tuple[str, str]], *, wide: bool) -> None:
    if wide:
        rows.append(("arn", job["TrainingJobArn"]))
        rows.append(("output", job["OutputDataConfig"]["S3OutputPath"]))
    rows = [row for row in rows if row[1]]
    width = max(len(key) for key, _ in rows) + 2
    for key, value in rows:
        print(f"{key:<{width}}{value.strip().replace(chr(10), chr(10) + ' ' * width)}")
    print("phases")
    for entry in job.get("SecondaryStatusTransitions", ()):
        took = output.span(entry["EndTime"] - entry["StartTime"]) if "EndTime" in entry else "…"
        print(f"  {took:>7}  {entry['Status']:<12} {entry.get('StatusMessage', '')}".rstrip())


def _facts(
    job: Mapping[str, Any], tags: Mapping[str, str], default_backend: str
) -> list[tuple[str, str]]:
    resources = job["ResourceConfig"]
    name, reason = job["TrainingJobName"], job.get("FailureReason", "")
    given = {
        key: value
        for key, value in job.get("HyperParameters", {}).items()
        if not key.startswith("sagemaker_")
    }
    facts = [
        ("name", name),
        ("status", f"{output.status(job['TrainingJobStatus'])}  ({job['SecondaryStatus']})"),
        ("reason", reason),
        ("hint", hint(reason, name) if reason else ""),
        ("created", output.moment(float(job["CreationTime"]))),
        ("nodes", f"{live.nodes_of(job)} x {resources.get('InstanceType', 'mixed')}"),
        ("backend", tags.get(BACKEND_TAG, default_backend)),
        ("project", tags.get(PROJECT_TAG, "")),
        ("priority", _priority(tags)),
        ("attempts", _attempts(job)),
        ("spot", _spot(job)),
        ("warm pool", _warm_pool(job)),
        ("image", job["AlgorithmSpecification"].get("TrainingImage", "")),
        ("digest", tags.get(IMAGE_TAG, "")),
        ("program", _program(job)),
        ("tags", "  ".join(f"{key}={value}" for key, value in tags.items() if key not in _OURS)),
        ("parameters", "  ".join(f"{key}={value}" for key, value in given.items())),
        ("metrics", live.metrics(job)),
    ]
    job_mode = job["AlgorithmSpecification"].get("TrainingInputMode", "File")
    for channel in job.get("InputDataConfig", ()):
        facts.append((f"data {channel['ChannelName']}", _data(channel, job_mode)))
    facts.append(("checkpoints", _checkpoints(job)))
    facts.append(("model", job["ModelArtifacts"]["S3ModelArtifacts"]))
    return facts


def _priority(tags: Mapping[str, str]) -> str:
    """Return how the job stands among others; "" when nothing was said of that."""
    gives_way = tags.get(PREEMPTIBLE_TAG) == "true"
    if PRIORITY_TAG not in tags and not gives_way:
        return ""
    return tags.get(PRIORITY_TAG, str(_PRIORITY)) + (", preemptible" if gives_way else "")


def _attempts(job: Mapping[str, Any]) -> str:
    """Return how many attempts there were; "" for one."""
    entries = job.get("SecondaryStatusTransitions", ())
    interrupted = sum(entry["Status"] == "Interrupted" for entry in entries)
    if not interrupted:
        return ""
    times = output.plural(interrupted, "interruption")
    return f"{interrupted + 1}  ({times}; trainshed explain {job['TrainingJobName']})"


def _spot(job: Mapping[str, Any]) -> str:
    """Return what spot nodes saved, as the service reckons it; "" for a job without them."""
    if not job.get("EnableManagedSpotTraining"):
        return ""
    trained, billed = job.get("TrainingTimeInSeconds"), job.get("BillableTimeInSeconds")
    if not trained or billed is None:
        return "yes"
    seconds = f"{output.span(billed)} of {output.span(trained)} billable"
    return f"saved {1 - billed / trained:.0%}  ({seconds})"


def _warm_pool(job: Mapping[str, Any]) -> str:
    """Return what became of the nodes that the job kept; "" when it kept none."""
    pool = job.get("WarmPoolStatus")
    if not pool:
        return ""
    told = [pool["Status"]]
    if seconds := pool.get("ResourceRetainedBillableTimeInSeconds"):
        told.append(f"kept for {output.span(seconds)}")
    if name := pool.get("ReusedByJob"):
        told.append(f"taken over by {name}")
    return ", ".join(told)


def _data(channel: Mapping[str, Any], job_mode: str) -> str:
    """Return where a channel's data comes from, and how, unless in File mode as it is."""
    source = channel["DataSource"].get("S3DataSource", {})
    if not source:
        system = channel["DataSource"].get("FileSystemDataSource", {})
        path = f"{system.get('FileSystemId', '')}:{system.get('DirectoryPath', '')}"
        return f"{path}  {system.get('FileSystemAccessMode', '')}"
    how = [
        channel.get("InputMode") or job_mode,
        source.get("S3DataType", "S3Prefix"),
        source.get("S3DataDistributionType", "FullyReplicated"),
    ]
    told = [word for word in how if word not in {"File", "S3Prefix", "FullyReplicated"}]
    return "  ".join([source["S3Uri"], ", ".join(told)]).strip()


def _checkpoints(job: Mapping[str, Any]) -> str:
    """Return where checkpoints are kept, and how that goes; "" when the job asks for none."""
    config = job.get("CheckpointConfig")
    if not config:
        return ""
    messages = [entry.get("StatusMessage", "") for entry in job["SecondaryStatusTransitions"]]
    told = [text.partition("Checkpoints: ")[2] for text in messages if "Checkpoints: " in text]
    return f"{config['S3Uri']}  {told[-1] if told else 'none kept yet'}"


def _program(job: Mapping[str, Any]) -> str:
    """Return the user's script, or what the request has run in the image."""
    script: str = job.get("HyperParameters", {}).get("sagemaker_program", "").strip('"')
    algorithm = job["AlgorithmSpecification"]
    entrypoint = algorithm.get("ContainerEntrypoint", [])
    return script or shlex.join([*entrypoint, *algorithm.get("ContainerArguments", [])])
