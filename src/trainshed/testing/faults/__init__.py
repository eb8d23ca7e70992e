"""Faults on purpose: servers and agents that die, stand still, or are lied to, at named points."""
