"""Small learners, runs and data."""
