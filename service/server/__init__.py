"""The HTTP server: start, limits on heads, shutdown."""
