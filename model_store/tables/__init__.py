"""Tables of queries and products: CSV, TSV, JSON Lines and Parquet, read in one way."""
