"""The images that tests on a cluster use; tools/k8s-images makes them."""

PRODUCT = "trainshed:test"
"""Server, agent and operator, as deploy/Dockerfile makes it."""
PYTHON = "trainshed-test/python:base"
"""Python, and nothing else: no ``train``."""
BYOC = "trainshed-test/byoc:latest"
"""Somebody's own: scikit-learn, and ``train`` on its path."""
TORCH = "trainshed-test/torch:latest"
"""PyTorch for the processor, torchrun, and no ``train``."""
MPI = "trainshed-test/mpi:latest"
"""Open MPI, and no ``train``."""
ALL = (PRODUCT, PYTHON, BYOC, TORCH, MPI)
