"""The commands of `mimdata`, one file a group; each a thin skin over a library call."""
