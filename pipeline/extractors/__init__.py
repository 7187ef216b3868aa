"""Extractors: one file each, from a decoded clip to a track of features."""
