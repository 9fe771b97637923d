"""Shopping Queries (ESCI): the official files, and the flat one."""
