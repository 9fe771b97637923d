"""Scoring for joint pairs and for two towers."""
