"""Candidate pairs and query logs: reading, chunks, counts, refused rows."""
