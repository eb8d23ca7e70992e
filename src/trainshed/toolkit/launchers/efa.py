"""What programs are told on machines with an Elastic Fabric Adapter, Amazon's own network card.

Amazon's toolkit goes by the instance type's name. Elsewhere the name says nothing of the machine,
and a program told to use a card that is not there fails: so the card must be there too.

Source: Amazon's ``sagemaker-training`` package (which types have one).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

_DEVICES: Final = "/sys/class/infiniband"
_RDMA: Final = frozenset(
    f"ml.{name}"
    for name in (
        "p4d.24xlarge",
        "p4de.24xlarge",
        "p5.48xlarge",
        "p5e.48xlarge",
        "trn1.32xlarge",
        "p6e-gb200.36xlarge",
    )
)
_FABRIC: Final = _RDMA | {
    f"ml.{name}" for name in ("g4dn.8xlarge", "g4dn.12xlarge", "g5.48xlarge", "p3dn.24xlarge")
}


def settings(facts: Mapping[str, Any], devices: str = _DEVICES) -> dict[str, str]:
    """Return the variables for this instance type; none without such a card.

    Args:
        facts: what ``SM_TRAINING_ENV`` holds.
        devices: the folder in which the system shows such cards.
    """
    try:
        present = any(name.startswith("efa") for name in os.listdir(devices))  # noqa: PTH208
    except OSError:
        present = False
    return by_type(str(facts["current_instance_type"])) if present else {}


def by_type(instance_type: str) -> dict[str, str]:
    """Return the variables that Amazon's toolkit sets for an instance type."""
    found = {"FI_PROVIDER": "efa"} if instance_type in _FABRIC else {}
    if instance_type in _RDMA:
        found.update(FI_EFA_USE_DEVICE_RDMA="1", RDMAV_FORK_SAFE="1")
    return found
