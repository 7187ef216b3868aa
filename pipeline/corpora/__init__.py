"""Corpora: one file a directory layout, each of which yields clips."""
