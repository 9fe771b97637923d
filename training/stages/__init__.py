"""Stages of training: adapter, fusion, fine-tuning, and the loop that they share."""
