"""Watches a container, and what works beside it while it runs."""
