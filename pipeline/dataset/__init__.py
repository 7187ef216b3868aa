"""Aligned datasets: immutable Parquet versions with one manifest each."""
