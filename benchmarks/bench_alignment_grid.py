"""Claim: the default aligner agrees with GRID's own word timings, keeps going in noise, and knows a wrong transcript.

Compares with the .align files of the GRID corpus, which are forced alignments themselves: agreement, not error.
Targets: median difference of word starts at most 25 ms, at least 95% within 100 ms.

    python benchmarks/bench_alignment_grid.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.alignment.decoder import BEAM, FRAME, SphinxDecoder
from mimdata.pipeline.alignment.pocketsphinx import POOREST_MATCH, PocketsphinxAligner, likelihood
from mimdata.pipeline.media import SAMPLE_RATE, Media
from mimdata.pipeline.records import Clip, Float32
from mimdata.pipeline.steps import Resources

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Utterance:
    """A GRID clip: its sound at 16 kHz, its words and their starts (w,) in seconds."""

    name: str
    path: Path
    audio: Float32
    words: tuple[str, ...]
    starts: Floats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    folder = parser.parse_args().data / "clips" / "grid"
    utterances = [_read(path) for path in sorted(folder.glob("*.align"))]
    if not utterances:
        raise SystemExit(
            f"no .align files: looked in {folder}. Point --data at the folder that holds clips/grid."
        )
    _agreement(utterances)
    _noise(utterances)
    _matching(utterances)


def _read(marks: Path) -> Utterance:
    lines = [line.split() for line in marks.read_text().splitlines()]
    spoken = [(int(start) / 25_000, word) for start, _, word in lines if word not in ("sil", "sp")]
    media = marks.with_suffix(".mpg")
    audio = Media(media, None, None, audio=True, fps=()).audio()
    if audio is None:
        raise SystemExit(f"{media.name} has no sound")
    starts = np.array([start for start, _ in spoken])
    return Utterance(marks.stem, media, audio, tuple(word for _, word in spoken), starts)


def _agreement(utterances: list[Utterance]) -> None:
    """The aligner as it is used, from file to words."""
    align = PocketsphinxAligner().open(Resources())
    off: dict[str, Floats] = {}
    suspect = 0
    _ = align(
        Media(utterances[0].path, None, None, audio=True, fps=()), _clip(utterances[0])
    )  # loads the model
    began = time.perf_counter()
    for one in utterances:
        words = align(Media(one.path, None, None, audio=True, fps=()), _clip(one))
        off[one.name] = words.intervals[:, 0] - one.starts
        suspect += bool(words.suspect)
    seconds = time.perf_counter() - began
    sound = sum(len(one.audio) for one in utterances) / SAMPLE_RATE
    size = np.abs(np.concatenate(list(off.values())))
    print(f"\nWord starts against GRID's alignments: {len(size)} words of {len(utterances)} clips\n")
    print(
        f"  {_row(size)}   suspect clips {suspect}   {seconds / sound:.3f} s a second of sound, decoding included"
    )
    print("\n  words more than 100 ms off:")
    for one in utterances:
        for word, by in zip(one.words, off[one.name], strict=True):
            if abs(by) > 0.1:
                print(f"    {one.name}  {word:8s} {1000 * by:+5.0f} ms")


def _clip(one: Utterance) -> Clip:
    return Clip(f"{one.name}[0]", one.name, 0, one.path.name, None, None, " ".join(one.words))


def _noise(utterances: list[Utterance]) -> None:
    print("\nWhite noise, pocketsphinx's own beams against ours\n")
    print("  noise    beams      not aligned  agreement of the aligned")
    for ratio in (None, 20, 10, 5):
        for name, beam in (("its own", None), (f"{BEAM:g}", BEAM)):
            decoder = SphinxDecoder(beam)
            off, lost = [], 0
            for i, one in enumerate(utterances):
                heard = decoder.align(_noisy(one.audio, ratio, i), one.words, {})
                if heard is None:
                    lost += 1
                else:
                    off.append(heard.frames[:, 0] * FRAME - one.starts)
            size = np.abs(np.concatenate(off)) if off else np.zeros(0)
            label = "clean" if ratio is None else f"{ratio} dB"
            print(f"  {label:7s}  {name:9s}  {lost:2d} of {len(utterances)}     {_row(size)}")


def _matching(utterances: list[Utterance]) -> None:
    """Right transcripts against those of other clips, which share the grammar and some words."""
    print(f"\nRight transcripts against shuffled ones (suspect below {POOREST_MATCH} nats a frame)\n")
    for ratio in (None, 10):
        decoder = SphinxDecoder()
        right: list[float] = []
        wrong: list[float] = []
        words: list[float] = []
        wrong_words: list[float] = []
        unfit = 0
        for i, one in enumerate(utterances):
            audio = _noisy(one.audio, ratio, i)
            for other in utterances:
                differs = np.array([a != b for a, b in zip(one.words, other.words, strict=True)])
                if other is not one and differs.sum() < 4:
                    continue
                heard = decoder.align(audio, other.words, {})
                if heard is None:
                    unfit += 1
                    continue
                length = heard.frames[:, 1] - heard.frames[:, 0]
                overall = float(heard.nats @ length / length.sum())
                (right if other is one else wrong).append(overall)
                (words if other is one else wrong_words).extend(
                    heard.nats if other is one else heard.nats[differs]
                )
        label = "clean" if ratio is None else f"{ratio} dB"
        a, b, c, d = (np.array(x) for x in (right, wrong, words, wrong_words))
        print(f"  {label}: {len(a)} right, {len(b)} shuffled ({unfit} more could not be aligned)")
        print(
            f"    nats a frame    right {_span(a)}   shuffled {_span(b)}   area under ROC {_area(a, b):.3f}"
        )
        print(
            f"    marked suspect  right {np.mean(a < POOREST_MATCH):.1%}   shuffled {np.mean(b < POOREST_MATCH):.1%}"
        )
        print(
            f"    confidence      right words {np.median(likelihood(c)):.2f}   wrong words "
            f"{np.median(likelihood(d)):.2f} (medians)   area under ROC {_area(c, d):.3f}"
        )


def _noisy(audio: Float32, ratio: float | None, seed: int) -> Float32:
    if ratio is None:
        return audio
    power = float(np.mean(audio.astype(np.float64) ** 2)) / 10 ** (ratio / 10)
    noise = np.random.default_rng(seed).normal(0, power**0.5, len(audio))
    return (audio + noise).clip(-1, 1).astype(np.float32)


def _row(size: Floats) -> str:
    if not len(size):
        return "–"
    p95, most = np.percentile(size, 95), size.max()
    return (
        f"median {1000 * np.median(size):3.0f} ms   p95 {1000 * p95:3.0f} ms   within 100 ms {np.mean(size <= 0.1):6.1%}"
        f"   most {1000 * most:3.0f} ms"
    )


def _span(values: Floats) -> str:
    low, middle, high = np.percentile(values, [0, 50, 100])
    return f"{middle:.1f} ({low:.1f} … {high:.1f})"


def _area(right: Floats, wrong: Floats) -> float:
    """Probability that a right one scores above a wrong one."""
    below = np.searchsorted(np.sort(wrong), right, side="left") + np.searchsorted(
        np.sort(wrong), right, side="right"
    )
    return float(below.sum() / 2 / len(right) / len(wrong))


if __name__ == "__main__":
    main()
