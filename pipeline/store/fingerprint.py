"""Identities and keys: what shaped a result, as canonical JSON, and its sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from typing import Any

from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import Step

Identity = Mapping[str, Any]


def canonical(value: object) -> str:
    """One text for one value: sorted keys, no spaces, no NaN. Raises TypeError for what JSON cannot write."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    """sha256 of a text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(identity: Identity) -> str:
    """The key under which the result of this identity is stored."""
    return digest(canonical(identity))


@cache
def library_version(distribution: str) -> str:
    """The installed version of a distribution, without a local part such as `+cu132`."""
    return version(distribution).partition("+")[0]


def step_identity(step: Step) -> dict[str, Any]:
    """Everything about a step that shapes its output: name, version, parameters, weights, libraries."""
    parameters = {
        field.name: getattr(step, field.name)
        for field in fields(step)  # type: ignore[arg-type]  # steps are dataclasses, which Protocols cannot say
        if field.metadata.get("identity", True)
    }
    return {
        "step": step.name,
        "version": step.version,
        "parameters": parameters,
        "weights": dict(step.weights()),
        "libraries": {name: library_version(name) for name in step.libraries},
    }


def result_identity(
    clip: Clip, step: Step, identity_of_step: Identity, *, source: str | None, sidecar: str | None
) -> dict[str, Any]:
    """Everything that shapes what `step` makes of `clip`.

    `source` and `sidecar` are sha256 digests of the files that the step reads. What a step does not read is
    no part of its key: a new transcript leaves the voice features alone, new labels leave everything alone.
    """
    reads = step.reads
    identity: dict[str, Any] = {"step": identity_of_step}
    if reads.audio or reads.fps:
        identity |= {"source": source, "start": clip.start, "end": clip.end}
    if reads.text:
        identity |= {"text": clip.text, "language": clip.language}
    if reads.words:
        identity["words"] = [[word.word, word.start, word.end] for word in clip.words or ()]
    if reads.names:
        identity |= {"clip": clip.clip_id, "video": clip.video_id}
    if sidecar is not None:
        identity |= {"sidecar": sidecar, "start": clip.start, "end": clip.end}
    return identity


def differences(before: object, after: object, path: str = "") -> list[str]:
    """Lines that say where two identities differ: `step.parameters.fps: 5.0 → 10.0`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        lines: list[str] = []
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            lines += differences(before.get(name), after.get(name), inner)
        return lines
    if before == after:
        return []
    return [f"{path}: {_short(before)} → {_short(after)}"]


def _short(value: object) -> str:
    text = canonical(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
