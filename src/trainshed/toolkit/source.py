"""Puts the user's code into the code folder.

The folder, file or archive that was submitted is laid over whatever the image has there.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from trainshed.contract import archives
from trainshed.contract.script_mode import SOURCE_ARCHIVE_VARIABLE, SUBMIT_DIRECTORY
from trainshed.toolkit import unpack
from trainshed.toolkit.failure import ToolkitError

_SCHEME: Final = "file://"


def prepare(submitted: str, code: Path, fetched: str | None) -> None:
    """Bring what was submitted into ``code``.

    Args:
        submitted: ``sagemaker_submit_directory``: an ``s3://`` address, or a local folder, tar or
            single file; the code folder itself when none was given.
        code: the code folder; made when it is not there.
        fetched: where the platform put the archive behind an ``s3://`` address.

    Raises:
        ToolkitError: it is not there, or the archive is broken or hostile.
    """
    code.mkdir(parents=True, exist_ok=True)
    if fetched:
        unpack.unpack(Path(fetched), code)
        return
    if submitted.startswith(_SCHEME):
        submitted = submitted[len(_SCHEME) :]
    if "://" in submitted:
        raise ToolkitError(
            f"{SUBMIT_DIRECTORY} is {submitted}, which the container cannot fetch; the platform "
            f"fetches it beforehand and names the file in {SOURCE_ARCHIVE_VARIABLE}"
        )
    path = Path(submitted)
    if not path.exists():
        raise ToolkitError(f"{SUBMIT_DIRECTORY} is {submitted}, and there is no such file here")
    if path.is_dir():
        if path.resolve() != code.resolve():
            shutil.copytree(path, code, symlinks=True, dirs_exist_ok=True)
    elif archives.is_archive(path):
        unpack.unpack(path, code)
    else:
        shutil.copy2(path, os.fspath(code))
