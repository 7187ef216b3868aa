"""The demo corpus: whole, reproducible, and true to what it says was spoken when."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from mimdata.pipeline.corpora.check import summary
from mimdata.pipeline.corpora.demo import DemoCorpus
from mimdata.pipeline.corpora.demo_builder import TRUTH, build_demo
from mimdata.pipeline.corpora.demo_sentences import sentence
from mimdata.pipeline.corpora.demo_video import AUDIO_RATE
from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.records import Clip, words_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "corpus"
    assert build_demo(root, utterances=4, videos=3)
    return root


def clips_of(root: Path) -> list[Clip]:
    items = list(DemoCorpus().clips(root))
    assert all(isinstance(item, Clip) for item in items), items
    return [item for item in items if isinstance(item, Clip)]


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_it_reads_as_mosei_without_a_problem(demo: Path) -> None:
    found = summary(DemoCorpus(), demo)
    assert (found.clips, found.videos, found.with_labels, found.with_emotions, found.problems) == (
        4,
        3,
        4,
        4,
        (),
    )
    assert found.splits == {"test": 1, "train": 2, "valid": 1}
    assert found.with_words == 0  # the truth is for evaluation
    assert found.to_json()["excluded"] == 0
    assert "4 of 4 clips can be used" in found.to_text()


def test_a_second_call_does_nothing_and_other_parameters_are_refused(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    assert not build_demo(demo, utterances=4, videos=3)
    DemoCorpus().prepare(demo)
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before
    with pytest.raises(MimdataError, match="other parameters"):
        build_demo(demo, utterances=5, videos=3)


def test_equal_parameters_give_equal_bytes(demo: Path, tmp_path: Path) -> None:
    build_demo(tmp_path / "again", utterances=4, videos=3)
    files = sorted(path.relative_to(demo) for path in demo.rglob("*") if path.is_file())
    assert len(files) == 10
    for file in files:
        assert (demo / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_words_sound_where_the_truth_says(demo: Path) -> None:
    clips = {clip.clip_id: clip for clip in clips_of(demo)}
    for line in (demo / TRUTH).read_text().splitlines():
        truth = json.loads(line)
        clip, words = clips[truth["clip_id"]], truth["words"]
        assert tuple(word["word"] for word in words) == words_of(clip.text)
        assert (clip.start, clip.end) == (truth["start"], truth["end"])
        samples = sound(demo / clip.source)
        speech = [_level(samples, truth["start"] + w["start"], truth["start"] + w["end"]) for w in words]
        quiet = _level(samples, truth["start"] + 0.02, truth["start"] + words[0]["start"] - 0.02)
        assert min(speech) > 20 * quiet
        assert all(a["end"] <= b["start"] + 1e-4 for a, b in pairwise(words))


def _level(samples: np.ndarray, start: float, end: float) -> float:
    part = samples[round(start * AUDIO_RATE) : round(end * AUDIO_RATE)]
    return float(np.sqrt(np.mean(part**2)))


def test_pictures_last_as_long_as_sound_and_move(demo: Path) -> None:
    for path in sorted(demo.rglob("*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
            rate = float(container.streams.video[0].average_rate or 0)
        assert abs(len(frames) / rate - len(sound(path)) / AUDIO_RATE) < 0.1
        assert np.abs(frames[0].astype(int) - frames[len(frames) // 2]).mean() > 2


def test_sentences_differ_and_hold_both_signs() -> None:
    several = [sentence(index) for index in range(3000)]
    assert len({item.text for item in several}) == 3000
    assert all(-3 <= item.sentiment <= 3 and max(item.emotions.values(), default=0) <= 3 for item in several)
    for first in range(0, 60, 3):
        signs = {np.sign(item.sentiment) for item in several[first : first + 3]}
        assert {1.0, -1.0} & signs
    many = sentence(16 * 6 * 24 * 5 * 6 + 5)  # past the last of one clause
    assert ", and " in many.text


def test_too_small_a_demo_and_a_foreign_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 3 videos"):
        build_demo(tmp_path / "x", utterances=2, videos=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(MimdataError, match="other than a demo"):
        build_demo(tmp_path / "mine", utterances=3, videos=3)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path / "x", utterances=3, videos=3, progress=stop)
    assert list(tmp_path.iterdir()) == []
