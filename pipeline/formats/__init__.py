"""File formats that others write and read."""
