"""What a fill leaves in the cache: its state, its writer, its checks."""
