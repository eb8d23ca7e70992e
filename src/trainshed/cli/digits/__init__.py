"""The demo's programs: ordinary files, to be read and copied."""
