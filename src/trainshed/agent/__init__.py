"""Beside the user's container on every node: bring data in, run, watch, carry results out."""
