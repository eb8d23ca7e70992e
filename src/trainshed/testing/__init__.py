"""Fakes and contract suites, shipped for people who write drivers and stores."""
