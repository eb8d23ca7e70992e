"""Checkpoints: brought back before the container starts, kept while it runs."""
