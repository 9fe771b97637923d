"""The page for people: static files, no framework, nothing from elsewhere."""
