"""One file per command of `python -m training`; a command turns options into calls and prints."""
