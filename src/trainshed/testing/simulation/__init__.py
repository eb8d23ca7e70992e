"""A place of instances that do not exist: nodes, agents and time, all simulated."""
