"""A package of its own: an installed package that is also called tests must not take its place."""
