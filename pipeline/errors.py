"""Errors that are meant for a person: one line of what was expected, found, where, and what to do."""

from __future__ import annotations

from mimdata.pipeline.terminal import one_line


class MimdataError(Exception):
    """A mistake in what we were given. The command prints its message without a traceback, exit code 1.

    Messages quote files, names and libraries: whatever these hold, the message is one line that can be printed.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(one_line(a) if isinstance(a, str) else a for a in arguments))


class UsageError(MimdataError):
    """The command or its configuration cannot mean anything. Exit code 2."""


class StoreError(MimdataError):
    """The store cannot be written, or a part of it cannot be read: no clip is to blame, and the run ends."""


class ClipError(MimdataError):
    """One clip cannot be processed; all others go on, and the failures table gets a row.

    `cause` is a short stable phrase that groups equal failures ("damaged stream"), `hint` what to do.
    A `permanent` failure is a function of the clip alone and is remembered under its key until the clip,
    or the step, changes; others (a worker lost, no memory) are tried again by the next run.
    """

    def __init__(self, cause: str, message: str, hint: str = "", *, permanent: bool = True) -> None:
        super().__init__(message)
        self.cause = cause
        self.hint = hint
        self.permanent = permanent
