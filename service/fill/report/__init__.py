"""What a fill tells about itself, while it runs and at its end."""
