"""Entry points that drive the packages from outside."""
