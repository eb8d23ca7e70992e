"""The folders and files under ``/opt/ml``.

Source: Amazon SageMaker developer guide, "How Amazon SageMaker Provides Training Information" and
"... Processes Training Output"; "SageMaker AI Managed Warm Pools".
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

BASE: Final = "/opt/ml"


class Tree:
    """The tree below one base folder (``/opt/ml`` inside the container)."""

    def __init__(self, base: Path = Path(BASE)) -> None:
        self.base = base
        self.input = base / "input"
        self.config = base / "input" / "config"
        self.data = base / "input" / "data"
        self.model = base / "model"
        self.code = base / "code"
        self.checkpoints = base / "checkpoints"
        self.output = base / "output"
        self.output_data = base / "output" / "data"
        self.intermediate = base / "output" / "intermediate"
        self.warm_pool_cache = base / "sagemaker" / "warmpoolcache"
        self.failure = base / "output" / "failure"
        self.success = base / "output" / "success"
        self.hyperparameters = self.config / "hyperparameters.json"
        self.input_data_config = self.config / "inputdataconfig.json"
        self.resource_config = self.config / "resourceconfig.json"

    def channel(self, name: str) -> Path:
        """Return where the files of a File or FastFile channel lie."""
        return self.data / name
