"""The batch job that fills the offline cache from files of candidates."""
