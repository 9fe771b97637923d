"""A stored version becomes one that is served: loading, checking, swapping."""
