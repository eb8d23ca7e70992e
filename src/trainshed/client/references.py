"""Which job a word means: a full name, a prefix only one job has, ``@last``, ``@-2``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ClientError, JobNotFound

_NTH = re.compile(r"@-([1-9][0-9]{0,5})")
_PAGE: Final = 100
"""The most a page of ListTrainingJobs holds."""
_REMEDY: Final = "trainshed ls"


@dataclass(frozen=True, slots=True)
class Newest:
    """The job that was created ``back`` jobs before the newest; 0 is the newest."""

    back: int


@dataclass(frozen=True, slots=True)
class Named:
    """The job with this name, or the only one whose name begins so."""

    text: str


def parse(text: str) -> Newest | Named:
    """Return what a reference means.

    Raises:
        ClientError: it begins with ``@`` and is neither ``@last`` nor ``@-N``.
    """
    if not text.startswith("@"):
        return Named(text)
    if text == "@last":
        return Newest(0)
    if found := _NTH.fullmatch(text):
        return Newest(int(found[1]) - 1)
    raise ClientError(f"{text!r} is no reference to a job", "use a name, @last or @-2")


def pick(text: str, names: list[str]) -> str:
    """Return the one of ``names`` that ``text`` means: itself, or the only one it begins.

    Raises:
        JobNotFound: none does, or several do.
    """
    if text in names:
        return text
    found = [name for name in names if name.startswith(text)] if text else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobNotFound(f"no job is called {text!r}", _REMEDY)
    listed = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    raise JobNotFound(
        f"{text!r} begins the names of {len(found)} jobs: {listed}", "type more of it"
    )


def resolve(api: Api, text: str) -> dict[str, Any]:
    """Return the description of the job that ``text`` means.

    Raises:
        JobNotFound: none is meant, or several are.
        ClientError: it is no reference at all.
    """
    match parse(text):
        case Newest(back=back):
            for index, job in enumerate(summaries(api)):
                if index == back:
                    return describe(api, job["TrainingJobName"])
            count = "no job" if back == 0 else f"no {back + 1} jobs"
            raise JobNotFound(f"{text} means nothing: there are {count} yet", _REMEDY)
        case Named(text=name):
            try:
                return describe(api, name)
            except ApiError as error:
                if not missing(error):
                    raise
            if not re.fullmatch(r"[a-zA-Z0-9-]{1,63}", name):
                raise JobNotFound(f"no job is called {name!r}", _REMEDY)
            found = [job["TrainingJobName"] for job in summaries(api, {"NameContains": name})]
            return describe(api, pick(name, found))


def missing(error: ApiError) -> bool:
    """Tell whether the server said that the job is not there, or could not be called so."""
    return error.code in {"ResourceNotFound", "ValidationException"}


def describe(api: Api, name: str) -> dict[str, Any]:
    """Return DescribeTrainingJob's answer."""
    return api.call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": name})


def tags(api: Api, job: Mapping[str, Any]) -> dict[str, str]:
    """Return a described job's tags; among them what the server says of it that way."""
    answer = api.call("sagemaker", "ListTags", {"ResourceArn": job["TrainingJobArn"]})
    return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}


def summaries(api: Api, filters: Mapping[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield ListTrainingJobs' summaries, the newest first; pages are asked for as needed."""
    page: dict[str, Any] = {
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": _PAGE,
        **(filters or {}),
    }
    while True:
        answer = api.call("sagemaker", "ListTrainingJobs", page)
        yield from answer["TrainingJobSummaries"]
        if not answer.get("NextToken"):
            return
        page["NextToken"] = answer["NextToken"]
