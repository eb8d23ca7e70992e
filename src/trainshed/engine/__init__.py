"""Makes wishes true: queue, plan, launch, observe, decide."""
