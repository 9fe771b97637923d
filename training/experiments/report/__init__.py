"""Tables and figures from a folder of runs."""
