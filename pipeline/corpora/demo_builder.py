"""Build the demo corpus: spoken sentences over a moving face, in MOSEI's own raw layout.

espeak-ng speaks, the face is a photograph in motion, and the mouth does not move. So that there is something to
learn, sentiment mildly shapes the words, the voice's pitch, rate and loudness, and how far the head nods, all
with noise. The demo tests plumbing: figures measured on it say nothing about people.

    Raw/, CMU_MOSEI_Labels.csd, folds.json    as the layout of MOSEI has them
    Truth/words.jsonl                         when each word was spoken, for evaluation; no reader takes it as given
    demo.json                                 the parameters; written last, so that it marks a complete corpus
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mimdata.pipeline.corpora.demo_sentences import Sentence, sentence
from mimdata.pipeline.corpora.demo_video import AUDIO_RATE, FPS, Motion, Recording, boxes, frames, record
from mimdata.pipeline.corpora.mosei import LAYOUT, SEPARATOR
from mimdata.pipeline.corpora.mosei_labels import CSD_NAME, DIMENSIONS
from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.espeak import SpokenWord, synthesise
from mimdata.pipeline.formats.csd import TimedFeatures, write_csd
from mimdata.pipeline.records import Float32

VERSION = 1  # raised when equal parameters give another corpus
MARKER = "demo.json"
TRUTH = "Truth/words.jsonl"
VOICES = ("en-us+f2", "en-us+m3", "en-us+f4", "en-us", "en-us+m7", "en-us+f3", "en-us+m1", "en-us+f5")
LEAD, TAIL = 0.12, 0.15  # seconds that a segment holds before and after its speech


@dataclass(frozen=True)
class Spoken:
    """One utterance within its video: start and end of its segment in seconds, its words in time from `start`."""

    sentence: Sentence
    start: float
    end: float
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True)
class _Parameters:
    utterances: int
    videos: int
    seed: int
    version: int = VERSION


def build_demo(
    root: Path,
    utterances: int = 24,
    videos: int = 4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Build a demo corpus at `root` unless it lies there complete; True if it was built.

    `progress` is called with the number of utterances done and of all. The corpus appears whole or not at all;
    equal parameters give equal bytes with equal versions of the libraries. Raises UsageError for fewer than
    three videos or fewer utterances than videos, MimdataError if `root` holds something else.
    """
    if videos < 3 or utterances < videos:
        raise UsageError(
            f"a demo needs at least 3 videos (one for each split) and one utterance in each, "
            f"not {utterances} utterances in {videos} videos."
        )
    parameters = _Parameters(utterances, videos, seed)
    if _lies_complete(root, parameters):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.parent / f".{root.name}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write_corpus(partial, parameters, progress or _unheard)
        if root.is_dir():
            root.rmdir()
        partial.rename(root)
    except OSError:
        if not _lies_complete(root, parameters):  # else another process was faster
            raise
        return False
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _unheard(done: int, total: int) -> None:
    """Progress that nobody asked for."""


def is_demo(root: Path) -> bool:
    """Whether `root` holds a complete demo corpus, of whatever size."""
    return (root / MARKER).is_file()


def _lies_complete(root: Path, parameters: _Parameters) -> bool:
    if is_demo(root):
        found = json.loads((root / MARKER).read_text())
        if found != asdict(parameters):
            raise MimdataError(
                f"{root} holds a demo of other parameters ({_listed(found)}), asked for "
                f"{_listed(asdict(parameters))}. Choose another folder, or remove this one."
            )
        return True
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise MimdataError(f"{root} holds something other than a demo corpus. Choose an empty folder.")
    return False


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _write_corpus(root: Path, parameters: _Parameters, progress: Callable[[int, int], None]) -> None:
    for folder in (LAYOUT.transcripts, LAYOUT.full_video, Path(TRUTH).parent):
        (root / folder).mkdir(parents=True)
    _write_folds(root, parameters.videos)
    metadata = {
        "dimension names": list(DIMENSIONS),
        "dataset name": "mimdata demo",
        "dataset version": str(VERSION),
        "computational sequence description": "Labels of synthetic utterances in the layout of CMU-MOSEI",
        "computational sequence version": "1.0",
        "creator": "mimdata",
    }
    write_csd(root / CSD_NAME, "All Labels", _write_videos(root, parameters, progress), metadata)
    (root / MARKER).write_text(json.dumps(asdict(parameters)) + "\n")


def _write_folds(root: Path, videos: int) -> None:
    names = [_video_name(number) for number in range(videos)]
    test, valid = max(1, round(0.2 * videos)), max(1, round(0.15 * videos))
    train = videos - test - valid
    folds = {"train": names[:train], "valid": names[train : train + valid], "test": names[train + valid :]}
    (root / "folds.json").write_text(json.dumps(folds) + "\n")


def _video_name(number: int) -> str:
    return f"demo{number:04d}"


def _write_videos(
    root: Path, parameters: _Parameters, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, TimedFeatures]]:
    """Write media, transcript and truth of one video after the other → its labels."""
    share, extra = divmod(parameters.utterances, parameters.videos)
    first = 0
    with (root / TRUTH).open("w", encoding="utf-8") as truth:
        for number in range(parameters.videos):
            video, count = _video_name(number), share + (number < extra)
            spoken: list[Spoken] = []
            for utterance in _record_video(root, video, number, range(first, first + count), parameters.seed):
                spoken.append(utterance)
                progress(first + len(spoken), parameters.utterances)
            first += count
            _write_transcript(root / LAYOUT.transcripts / f"{video}.txt", video, spoken)
            for segment, utterance in enumerate(spoken):
                truth.write(_truth_line(f"{video}[{segment}]", utterance))
            yield video, _labels(spoken)


def _write_transcript(path: Path, video: str, spoken: list[Spoken]) -> None:
    lines = [
        SEPARATOR.join((video, str(segment), f"{item.start:.3f}", f"{item.end:.3f}", item.sentence.text))
        for segment, item in enumerate(spoken)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _truth_line(clip_id: str, spoken: Spoken) -> str:
    words = [asdict(word) for word in spoken.words]
    line = {"clip_id": clip_id, "start": spoken.start, "end": spoken.end, "words": words}
    return json.dumps(line) + "\n"


def _labels(spoken: list[Spoken]) -> TimedFeatures:
    values = [
        [item.sentence.sentiment, *(item.sentence.emotions.get(name, 0.0) for name in DIMENSIONS[1:])]
        for item in spoken
    ]
    return TimedFeatures(np.array([(item.start, item.end) for item in spoken]), np.array(values, np.float32))


def _record_video(root: Path, video: str, number: int, indices: range, seed: int) -> Iterator[Spoken]:
    """Write one video file, an utterance at a time: memory holds one utterance."""
    rng = np.random.default_rng([seed, 1, number])
    sway, drift, zoom = rng.uniform(0, 2 * np.pi, 3)
    motion = Motion((sway, drift, zoom), bool(rng.integers(2)), round(float(rng.uniform(0.85, 1.1)), 2))
    voice = VOICES[number % len(VOICES)]
    base_pitch, base_rate = int(rng.integers(42, 58)), int(rng.integers(150, 176))
    with record(root / LAYOUT.full_video / f"{video}.mp4") as recording:
        for index in indices:
            yield _record_utterance(recording, index, seed, motion, voice, base_pitch, base_rate)


def _record_utterance(
    recording: Recording, index: int, seed: int, motion: Motion, voice: str, base_pitch: int, base_rate: int
) -> Spoken:
    rng = np.random.default_rng([seed, 2, index])
    said = sentence(index, seed)
    mood = said.sentiment + rng.normal(0, 0.8)
    pitch, rate = round(base_pitch + 4 * mood), round(base_rate + 6 * mood)
    samples, _, words = synthesise(said.text, voice, rate, int(np.clip(pitch, 0, 99)))
    samples, offset = _with_pauses(samples * np.float32(0.7 * 10 ** (mood / 40)), rng)
    begun = recording.samples / AUDIO_RATE
    speech = begun + offset  # seconds in the video
    start, end = round(speech + words[0].start - LEAD, 3), round(speech + words[-1].end + TAIL, 3)
    times = _frame_times(recording, len(samples))
    envelope = np.sin(np.pi * np.clip((times - start) / (end - start), 0, 1)) ** 2
    nod = max(0.0, 4 + 2.5 * mood) * envelope * np.sin(2 * np.pi * 1.3 * (times - start))
    recording.add(samples, frames(motion, boxes(motion, times, nod)))
    shift = speech - start
    timed = tuple(
        SpokenWord(word.word, round(word.start + shift, 4), round(word.end + shift, 4), word.exact)
        for word in words
    )
    return Spoken(said, start, end, timed)


def _with_pauses(samples: Float32, rng: np.random.Generator) -> tuple[Float32, float]:
    """Speech between two pauses, over a faint noise floor; and where it begins, in seconds."""
    before, after = (int(rng.uniform(0.3, 0.5) * AUDIO_RATE) for _ in range(2))
    floor = rng.normal(0, 2e-4, before + len(samples) + after)  # −74 dB: no recording is digitally silent
    floor[before : before + len(samples)] += samples
    return np.clip(floor, -0.99, 0.99).astype(np.float32), before / AUDIO_RATE


def _frame_times(recording: Recording, samples: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Times of the frames that are due once so many more samples are written."""
    due = (recording.samples + samples) * FPS // AUDIO_RATE
    return np.arange(recording.pictures, due) / FPS
