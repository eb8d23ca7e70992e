"""For people's programs: pack code, submit, follow, fetch."""
