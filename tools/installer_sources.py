"""What the installers are rendered from, and in which variants."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
SYSTEM = "sagemaker-k8s-operator-system"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One installer."""

    path: Path
    namespace: str
    values: tuple[str, ...] = ()
    """What is set besides deploy/installer.values.yaml."""
    says: tuple[str, ...]
    """Its first lines."""
    begins: str = ""
    """What stands before all that is rendered."""


VARIANTS = (
    Variant(
        path=DEPLOY / "installer.yaml",
        namespace=SYSTEM,
        says=(
            "The operator for sagemaker.aws.amazon.com/v1, for all namespaces:",
            "  kubectl apply -f installer.yaml",
            "docs/how-to/install-on-a-cluster.md tells how it gets its image and its credentials.",
        ),
        begins=f"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {SYSTEM}\n",
    ),
    Variant(
        path=DEPLOY / "installer-namespaced.yaml",
        namespace="PLACEHOLDER-NAMESPACE",
        values=("installScope=namespace",),
        says=(
            "The operator for sagemaker.aws.amazon.com/v1, for one namespace, which is there:",
            "  sed s/PLACEHOLDER-NAMESPACE/my-team/ installer-namespaced.yaml | kubectl apply -f -",
            "It has no rights elsewhere; the CRDs are the whole cluster's.",
            "docs/how-to/install-on-a-cluster.md tells how it gets its image and its credentials.",
        ),
    ),
)


def digest() -> str:
    """Return a hash of everything that the installers are rendered from."""
    found = hashlib.sha256()
    here = Path(__file__)
    sources = [
        *(path for path in (DEPLOY / "chart").rglob("*") if path.is_file()),
        *(DEPLOY / "crds").glob("*.yaml"),
        DEPLOY / "installer.values.yaml",
        here,
        here.with_name("installer"),
    ]
    for path in sorted(sources):
        found.update(f"{path.relative_to(DEPLOY.parent)}\n".encode())
        found.update(path.read_bytes())
    return f"sha256:{found.hexdigest()[:16]}"
