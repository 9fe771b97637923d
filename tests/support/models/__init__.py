"""Small encoders, networks and versions."""
