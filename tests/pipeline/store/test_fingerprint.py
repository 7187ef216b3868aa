"""Keys: what moves them, what does not, and the golden ones that nobody moves by accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from mimdata.pipeline.records import Clip, GivenWord
from mimdata.pipeline.steps import Reads
from mimdata.pipeline.store.fingerprint import canonical, differences, key_of, result_identity, step_identity

CLIP = Clip("v[0]", "v", 0, "v.mp4", 1.0, 2.5, "so good", sentiment=2.0, split="train")


@dataclass(frozen=True)
class Step:
    """A step that reads what a test says."""

    name: ClassVar[str] = "step"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    rate: float = 5.0
    folder: str = field(default="/somewhere", metadata={"identity": False})
    reads: Reads = field(default=Reads(audio=True), metadata={"identity": False})

    def weights(self) -> Mapping[str, str]:
        return {"net": "aa"}


def key(clip: Clip, step: Step, source: str = "00", sidecar: str | None = None) -> str:
    return key_of(result_identity(clip, step, step_identity(step), source=source, sidecar=sidecar))


def test_golden_keys_stand() -> None:
    # A key that moves without a new version costs every user a rebuild: raise the step's version instead
    # and say so in CHANGELOG.md.
    assert key(CLIP, Step())[:16] == "f6b9845b04e536c3"
    assert key(CLIP, Step(reads=Reads(text=True)))[:16] == "b2e4aec37f3f5fc4"


def test_labels_splits_paths_and_names_move_no_key() -> None:
    other = replace(
        CLIP,
        clip_id="w[1]",
        source="else.mp4",
        sentiment=-1.0,
        split="test",
        emotions={"sad": 1.0},
        speaker="x",
    )
    assert key(other, Step()) == key(CLIP, Step())
    assert key(CLIP, Step(folder="/elsewhere")) == key(CLIP, Step())


@pytest.mark.parametrize(
    ("changed", "reads", "moves"),
    [
        (replace(CLIP, text="so bad"), Reads(audio=True), False),
        (replace(CLIP, text="so bad"), Reads(text=True), True),
        (replace(CLIP, end=2.6), Reads(text=True), False),
        (replace(CLIP, end=2.6), Reads(fps=5.0), True),
        (replace(CLIP, language="de"), Reads(text=True), True),
        (replace(CLIP, words=(GivenWord("so", 0, 1),)), Reads(text=True), False),
        (replace(CLIP, words=(GivenWord("so", 0, 1),)), Reads(words=True), True),
    ],
)
def test_a_key_moves_with_what_the_step_reads_alone(changed: Clip, reads: Reads, moves: bool) -> None:
    assert (key(changed, Step(reads=reads)) != key(CLIP, Step(reads=reads))) is moves


def test_bytes_of_source_and_sidecar_and_every_parameter_move_the_key() -> None:
    keys = {
        key(CLIP, Step()),
        key(CLIP, Step(), source="01"),
        key(CLIP, Step(), sidecar="02"),
        key(CLIP, Step(rate=10.0)),
    }
    assert len(keys) == 4


def test_what_json_cannot_write_is_an_error_and_no_random_key() -> None:
    with pytest.raises(TypeError):
        canonical({"step": object()})
    with pytest.raises(ValueError, match="JSON"):
        canonical({"rate": float("nan")})


def test_differences_name_the_part_that_changed() -> None:
    before, after = {"step": {"fps": 5.0, "v": 1}, "text": "a"}, {"step": {"fps": 10.0, "v": 1}, "text": "a"}
    assert differences(before, after) == ["step.fps: 5.0 → 10.0"]
