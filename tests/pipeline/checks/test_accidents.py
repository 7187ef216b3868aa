"""Each known accident, made on purpose, is caught by its own check and by no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.checks.contents import check_contents
from mimdata.pipeline.checks.drift import check_drift
from mimdata.pipeline.checks.facts import ClipFacts, Facts
from mimdata.pipeline.checks.leaks import check_leaks
from mimdata.pipeline.config import ChecksConfig
from mimdata.pipeline.dataset.diff import Difference
from mimdata.pipeline.dataset.lineage import Line
from mimdata.pipeline.dataset.manifest import Manifest

MODALITIES = ("text", "audio", "vision")
DIM = 10


def manifest(mean: float = 0.0, rows: int = 60) -> Manifest:
    about = {"dim": DIM, "feature_names": [f"f{i}" for i in range(DIM)], "statistics": ["mean"], "step": {}}
    numbers = {"mean": [mean] + [0.0] * (DIM - 1), "std": [1.0] * DIM, "count": 100}
    return Manifest(
        {
            "modalities": dict.fromkeys(MODALITIES, about),
            "statistics": {f"{m}_mean": numbers for m in MODALITIES},
            "pooling": {},
            "rows": rows,
        }
    )


class Version:
    """Sixty clips of thirty videos, as they should be; a test spoils something."""

    def __init__(self) -> None:
        self.facts = Facts(manifest())
        self.facts.clips = [clip(i) for i in range(60)]
        for split in ("train", "valid", "test"):
            words = sum(c.words for c in self.facts.clips if c.split == split)
            self.facts.words[split] = words
            self.facts.valid[split] = dict.fromkeys(MODALITIES, words)  # type: ignore[assignment]
        for m in MODALITIES:
            self.facts.lowest[f"{m}_mean"] = np.zeros(DIM, np.float32)
            self.facts.highest[f"{m}_mean"] = np.ones(DIM, np.float32)
        self.lineage = {
            c.clip_id: Line(c.clip_id, "x", 0.0, 1.0, "r", {"tracks/audio": c.clip_id})
            for c in self.facts.clips
        }
        self.listed = 60
        self.difference = Difference(manifest(), self.facts.manifest, (), (), {}, {})

    def change(self, clips: range, **values: Any) -> None:
        for i in clips:
            self.facts.clips[i] = replace(self.facts.clips[i], **values)

    def failed(self, limits: ChecksConfig | None = None) -> list[str]:
        limits = limits or ChecksConfig()
        checks = [
            *check_contents(self.facts, limits, self.listed),
            *check_leaks(self.facts, limits, self.lineage),
            *check_drift(self.facts, self.difference, limits),
        ]
        assert all(check.evidence == () or check.state == "failed" for check in checks)
        return [check.name for check in checks if check.state == "failed"]


def clip(i: int) -> ClipFacts:
    video = i // 2
    split = ("train", "train", "train", "valid", "test")[video % 5]
    return ClipFacts(
        clip_id=f"v{video}[{i % 2}]",
        video_id=f"v{video}",
        speaker=f"s{video}",
        split=split,
        text=f"this is utterance number {i}",
        sentiment=(i % 13) / 2 - 3,
        start=0.0,
        end=2.0,
        suspect=(),
        words=5,
        unplaced=0,
        confidence=0.9,
        has=frozenset(MODALITIES),
    )


def lost_disk(version: Version) -> None:
    version.listed = 90


def no_test_fold(version: Version) -> None:
    version.facts.clips = [c for c in version.facts.clips if c.split != "test"]
    del version.facts.words["test"]
    version.listed = len(version.facts.clips)


def faces_of_test_elsewhere(version: Version) -> None:
    version.facts.valid["test"]["vision"] = 0


def another_language(version: Version) -> None:
    version.change(range(20), unplaced=3)


def transcripts_off_by_one(version: Version) -> None:
    version.change(range(10), suspect=("few words aligned: 1 of 5",))


def muted(version: Version) -> None:
    version.change(range(5), has=frozenset({"text", "vision"}))


def pictures_upside_down(version: Version) -> None:
    version.change(range(30), has=frozenset({"text", "audio"}))


def infinite(version: Version) -> None:
    version.facts.non_finite["audio_mean"] = 1


def weights_never_loaded(version: Version) -> None:
    version.facts.highest["vision_mean"] = version.facts.lowest["vision_mean"]


def labels_joined_on_the_wrong_key(version: Version) -> None:
    version.change(range(20), sentiment=None)


def labels_of_another_scale(version: Version) -> None:
    version.change(range(1), sentiment=30.0)


def missing_labels_as_zero(version: Version) -> None:
    version.change(range(40), sentiment=0.0)


def folds_by_utterance(version: Version) -> None:
    version.change(range(1), split="test")
    version.change(range(1), speaker=None)


def one_speaker_in_two_folds(version: Version) -> None:
    version.change(range(6, 8), speaker="s0")


def one_film_under_two_names(version: Version) -> None:
    version.lineage["v3[0]"] = replace(version.lineage["v3[0]"], inputs={"tracks/audio": "v0[0]"})


def a_manifest_pasted_twice(version: Version) -> None:
    version.lineage["v1[0]"] = replace(version.lineage["v1[0]"], inputs={"tracks/audio": "v0[0]"})


def read_sentences(version: Version) -> None:
    version.change(range(60), text="Bin blue at F two now")


def deleted_by_prefix(version: Version) -> None:
    version.difference = replace(version.difference, removed=tuple(f"gone[{i}]" for i in range(10)))


def other_labels(version: Version) -> None:
    version.difference = replace(version.difference, changed={f"v{i}[0]": ("sentiment",) for i in range(10)})


def folds_dealt_anew(version: Version) -> None:
    version.difference = replace(version.difference, changed={"v0[0]": ("split",)})


def another_resampler(version: Version) -> None:
    version.difference = replace(version.difference, before=manifest(mean=1.0))


ACCIDENTS: dict[Callable[[Version], None], list[str]] = {
    lost_disk: ["kept clips"],
    no_test_fold: ["empty splits"],
    faces_of_test_elsewhere: ["vision coverage in test"],
    another_language: ["unplaced words"],
    transcripts_off_by_one: ["suspect clips"],
    muted: ["silent clips"],
    pictures_upside_down: ["faceless clips"],
    infinite: ["NaN and infinity"],
    weights_never_loaded: ["constant vision features"],
    labels_joined_on_the_wrong_key: ["unlabelled clips"],
    labels_of_another_scale: ["labels out of range"],
    missing_labels_as_zero: ["commonest label"],
    folds_by_utterance: ["videos in two splits"],
    one_speaker_in_two_folds: ["speakers in two splits"],
    one_film_under_two_names: ["recordings in two splits", "repeated recordings"],
    a_manifest_pasted_twice: ["repeated recordings"],
    read_sentences: ["sentences in two splits"],
    deleted_by_prefix: ["removed clips"],
    other_labels: ["changed labels"],
    folds_dealt_anew: ["changed splits"],
    another_resampler: ["text drift", "audio drift", "vision drift"],
}


def test_a_version_as_it_should_be_fails_no_check() -> None:
    assert Version().failed() == []


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__)
def test_an_accident_is_caught(accident: Callable[[Version], None]) -> None:
    version = Version()
    accident(version)
    assert version.failed() == ACCIDENTS[accident]


def test_every_limit_has_its_accident_and_can_be_switched_off() -> None:
    off: dict[str, Any] = dict.fromkeys(ChecksConfig.model_fields, "off")
    limits = ChecksConfig.model_validate(
        off | {"every_split": False, "coverage": dict.fromkeys(MODALITIES, "off")}
    )
    caught = set()
    for accident in ACCIDENTS:
        version = Version()
        accident(version)
        still = version.failed(limits)
        assert set(still) <= {"NaN and infinity", "labels out of range"}
        caught.update(set(version.failed()) - set(still))
    assert len(caught) == 21, "another limit needs another accident"


def test_a_change_of_the_extractor_is_no_drift() -> None:
    version = Version()
    another_resampler(version)
    version.difference = replace(version.difference, other_steps={"audio": "step.parameters.level: 1 → 2"})
    assert version.failed() == ["text drift", "vision drift"]


def test_a_first_version_and_one_without_splits_or_labels_pass() -> None:
    version = Version()
    version.change(range(60), split="unsplit", sentiment=None)
    version.facts.words = type(version.facts.words)({"unsplit": 300})
    version.facts.valid = {"unsplit": dict.fromkeys(MODALITIES, 300)}  # type: ignore[assignment]
    version.difference = None  # type: ignore[assignment]
    assert version.failed() == []
