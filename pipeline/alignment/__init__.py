"""Word alignment: transcripts in time, and frames pooled to words."""
