"""The Redis or Valkey behind the cache: addresses, connections, commands, errors, and the embedded one."""
