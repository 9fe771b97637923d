"""Translation by OPUS-MT models."""
