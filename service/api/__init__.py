"""HTTP routes: one file a route, and what they share."""
