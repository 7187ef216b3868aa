"""Corrections to a corpus, kept in a file beside it: clips left out, transcripts and spans put right.

One JSON object a line: `clip_id`, `fix` and what that takes. Other keys (times, evidence) are for people.

    {"clip_id": "03bSnISJMiM[5]", "fix": "exclude"}
    {"clip_id": "03bSnISJMiM[6]", "fix": "text", "text": "what is really said"}
    {"clip_id": "03bSnISJMiM[7]", "fix": "span", "start": 12.3, "end": 15.0}

`mimdata rebuild` writes the clips that it suspects in this form; delete the lines that are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.records import Clip, Problem

EXCLUDE, TEXT, SPAN = "exclude", "text", "span"
CAUSE = "excluded by the fix file"
FOREVER = 1e9  # seconds; an integer of JSON may be too large for a float

Fixes = Mapping[str, Mapping[str, Any]]  # by clip id


def read_fixes(path: Path) -> Fixes:
    """Read a fix file. Raises UsageError that names file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the fix file {path}: {error}") from error
    fixes: dict[str, Mapping[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            fix = _fix(line, f"{path} line {number}")
            fixes[fix["clip_id"]] = fix
    return fixes


def apply_fixes(items: Iterable[Clip | Problem], fixes: Fixes) -> Iterator[Clip | Problem]:
    """`items` with their fixes; a fix whose clip is not there becomes a Problem that costs nothing."""
    missing = dict(fixes)
    for item in items:
        fix = missing.pop(item.clip_id, None) if isinstance(item, Clip) else None
        yield _fixed(item, fix) if isinstance(item, Clip) and fix else item
    for clip_id in missing:
        yield Problem(
            "fix without a clip",
            f"the fix file names {clip_id}, which the corpus does not have",
            "remove the line",
            clip_id=clip_id,
            excludes=False,
        )


def _fixed(clip: Clip, fix: Mapping[str, Any]) -> Clip | Problem:
    if fix["fix"] == TEXT:
        return replace(clip, text=fix["text"])
    if fix["fix"] == SPAN:
        return replace(clip, start=float(fix["start"]), end=float(fix["end"]))
    return Problem(
        CAUSE,
        f"{clip.clip_id} is left out by the fix file",
        "remove its line there",
        clip.clip_id,
        clip.source,
    )


def _fix(line: str, where: str) -> dict[str, Any]:
    try:
        fix = json.loads(line)
        if not isinstance(fix, dict) or not isinstance(fix.get("clip_id"), str):
            raise UsageError(f"{where}: expected an object with clip_id and fix, found {line[:80]!r}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}") from error
    kind = fix.get("fix")
    if kind == TEXT and isinstance(fix.get("text"), str):
        return fix
    if kind == SPAN and all(_seconds(fix.get(name)) for name in ("start", "end")):
        return fix
    if kind == EXCLUDE:
        return fix
    raise UsageError(
        f'{where}: expected "fix" to be "exclude", "text" with a text, or "span" with start and end in seconds, '
        f"found {line[:80]!r}"
    )


def _seconds(value: object) -> bool:
    # NaN is not below FOREVER either.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FOREVER
