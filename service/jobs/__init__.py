"""Jobs that the service does beside its requests."""
