"""The feature store: what was computed, keyed by all that shaped it. Append-only, and also the cache."""
