"""Rows: jobs, attempts, events, tags."""
