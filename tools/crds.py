"""Writes deploy/crds: a CustomResourceDefinition for each kind of manifest that the operator reads.

python -m tools.crds

Made from ``trainshed.operator.kinds`` and the service's model, in the same words each time.
"""

from pathlib import Path

import yaml

from trainshed.operator.crds import crd
from trainshed.operator.kinds.base import GROUP
from trainshed.operator.kinds.table import KINDS

FOLDER = Path(__file__).parents[1] / "deploy" / "crds"
_NOTE = "# Written by tools/crds.py: run make docs to write it anew.\n"


def pages() -> dict[str, str]:
    """Return what belongs into the folder: each file's text by its name."""
    return {
        f"{GROUP}_{kind.plural}.yaml": _NOTE
        + yaml.safe_dump(crd(kind), sort_keys=False, allow_unicode=True, width=100)
        for kind in KINDS.values()
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
