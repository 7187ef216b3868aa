"""From word-aligned Parquet to a trained MIM."""
