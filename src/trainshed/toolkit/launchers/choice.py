"""Which launcher a job's hyperparameters ask for.

Sources: the order of Amazon's PyTorch container, which asks for MPI first, and its rule that only
the hosts of the distribution's instance groups take part; the others run the script alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, cast

from trainshed.contract import script_mode
from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers.job import Launcher, say

_MODULES: Final = {
    script_mode.MPI: "mpi",
    script_mode.PYTORCH_DDP: "torchrun",
    script_mode.TORCH_DISTRIBUTED: "torchrun",
}
"""What is offered, in the order in which it is asked for; a module is loaded when it is."""

_REFUSED: Final = {
    script_mode.DATA_PARALLEL: (
        "Amazon's data parallel library, which works on AWS only; use PyTorch's own "
        "(distribution={'torch_distributed': {'enabled': True}}) or MPI"
    ),
    script_mode.PARAMETER_SERVER: (
        "TensorFlow's parameter servers, which only Amazon's TensorFlow images start; run such "
        "an image, or start them from the script: TF_CONFIG can be made from SM_HOSTS"
    ),
    script_mode.MULTI_WORKER_MIRRORED: (
        "the TF_CONFIG that only Amazon's TensorFlow images make; run such an image, or make "
        "TF_CONFIG in the script from SM_HOSTS and SM_CURRENT_HOST"
    ),
    script_mode.PYTORCH_XLA: (
        "Amazon's training compiler, which only its own images have; use PyTorch's launcher "
        "(distribution={'torch_distributed': {'enabled': True}})"
    ),
}

_DDP: Final = (
    f"{script_mode.PYTORCH_DDP}: torchrun starts the processes, as smddprun does in Amazon's images"
)


def choose(parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> Launcher:
    """Return what starts the script on this host.

    Args:
        parameters: the framework parameters, read.
        facts: what ``SM_TRAINING_ENV`` holds.

    Raises:
        ToolkitError: a launcher is asked for that is not offered.
    """
    for name in script_mode.launchers_asked_for(parameters):
        if name in _REFUSED:
            raise ToolkitError(
                f"{name} asks for {_REFUSED[name]}. Running one process a host instead would not "
                "be what was asked"
            )
    module = "plain"
    if facts["current_instance_group"] in facts["distribution_instance_groups"]:
        asked = next((name for name in _MODULES if parameters.get(name)), None)
        module = _MODULES[asked] if asked else "plain"
        if asked == script_mode.PYTORCH_DDP:
            say(_DDP)
    found = import_module(f"trainshed.toolkit.launchers.{module}")
    return cast(Launcher, found.launch)
