"""Carries results out: while the container runs, and after its end."""
