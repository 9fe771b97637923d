"""From the texts of a pair to the tokens and batches that a network reads."""
