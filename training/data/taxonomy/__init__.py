"""Pairs made from Google's product taxonomy."""
