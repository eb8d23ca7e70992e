"""Brings channels in as files, before the container starts."""
