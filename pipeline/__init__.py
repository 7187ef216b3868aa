"""From raw talking-head corpora to word-aligned Parquet."""
