"""Commands of training: one file a command, each imported when it is called."""
