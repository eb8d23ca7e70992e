"""A cluster and a service in memory, for what is to be tested of the operator without either."""
