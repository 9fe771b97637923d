"""Experiments: plans of methods, sequences and seeds; their runs; reports over them."""
