"""Everything that stands fixed about each kind of manifest: one file for each."""
