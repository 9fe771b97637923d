"""Runs of a plan in processes of their own, resumed and merged."""
