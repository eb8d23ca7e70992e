"""Makes wishes true: line, plan, launch, observe, decide."""
