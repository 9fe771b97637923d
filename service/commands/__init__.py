"""Subcommands of `python -m service`."""
