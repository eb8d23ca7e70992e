"""A shed under load whose servers, agents, programs and database are killed, and who judges it."""
