"""Claim: frames to words 50 times as fast as the CMU Multimodal SDK's own align, with the same numbers to 1e-6.

Random sequences of MOSEI's shape: 70 s videos, 100 Hz × 74 and 30 Hz × 35 features, 2.6 words a second with times on an
aligner's grid of 10 ms. The SDK (sdk_align.py) runs in an environment of its own, which is made from peers-sdk.txt the
first time. Both start from the same .csd files, in turn.

    python benchmarks/bench_pooling.py [--videos 20]

Writes its section of docs/performance.md; fails where the numbers differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from report import markdown, publish

from mimdata.pipeline.alignment.pool import Pooled, Statistic, Weights, pool
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd, write_csd
from mimdata.pipeline.records import Float32, Track

HERE = Path(__file__).parent
TRACKS = {"audio": (100, 74), "vision": (30, 35)}  # frames a second, values
SECONDS, WORDS_A_SECOND, SHORTEST, GRID = 70, 2.6, 0.03, 0.01
SAME = 1e-6

Tracks = Mapping[str, Mapping[str, Track]]  # by track and video
Aligned = Mapping[str, Mapping[str, Pooled]]


@dataclass(frozen=True)
class Way:
    """How a measurement pools: with the SDK's weights and its mean alone, unless said otherwise."""

    weights: Weights = "mean"
    statistics: tuple[Statistic, ...] = ("mean",)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--times", type=int, default=7, help="rounds, of which the median counts")
    options = parser.parse_args()
    python = environment(HERE.parent / ".results" / "peers-sdk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, options.videos)
        seconds = measure(folder, python, options.times)
        words, largest = difference(folder / "files.npz", from_files(folder))
    body = (
        f"{options.videos} videos of {SECONDS} s, {words:,} words; 100 Hz × 74 and 30 Hz × 35 float32; medians of "
        f"{options.times} rounds, one thread, imports not counted. The SDK reads its .csd files as it aligns; for its second "
        "row they were read before. Over all words the largest difference between the SDK's means and ours (`weights = "
        f'"mean"`) is {largest:.1e}.\n\n{table(seconds, options.videos)}'
    )
    publish("Frames to words, against the CMU SDK", "benchmarks/bench_pooling.py", body, ("mimdata", "numpy"))
    if largest > SAME:
        sys.exit(f"the SDK's numbers differ by {largest}")


def environment(folder: Path) -> Path:
    """The Python that has the SDK, installed from its pinned list unless that was done before."""
    python, done = folder.absolute() / "bin" / "python", folder / "done"
    wanted = (HERE / "peers-sdk.txt").read_text()
    if not done.exists() or done.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = (python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", HERE / "peers-sdk.txt")
        subprocess.run(install, check=True)
        done.write_text(wanted)
    return python


def generate(folder: Path, videos: int) -> None:
    """words.csd, audio.csd and vision.csd."""
    random = np.random.default_rng(0)
    names = [f"video{i:03d}" for i in range(videos)]
    for track, (rate, dim) in TRACKS.items():
        edges = np.arange(SECONDS * rate + 1) / rate
        frames = np.stack([edges[:-1], edges[1:]], axis=1)
        entries = ((n, TimedFeatures(frames, random.standard_normal((len(frames), dim)))) for n in names)
        write_csd(folder / f"{track}.csd", track, entries)
    write_csd(folder / "words.csd", "words", ((name, spoken(random)) for name in names))


def spoken(random: np.random.Generator) -> TimedFeatures:
    """Words that fill a video, with a pause after every fourth or so."""
    n = round(SECONDS * WORDS_A_SECOND)
    lengths = np.stack([random.gamma(2.5, 1, n), random.exponential(2, n) * (random.random(n) < 0.25)])
    lengths *= (SECONDS - n * SHORTEST) / lengths.sum()
    ends = np.cumsum(lengths.sum(axis=0) + SHORTEST) - lengths[1]
    starts = ends - lengths[0] - SHORTEST
    grid = np.round(np.stack([starts, ends], axis=1) / GRID) * GRID
    return TimedFeatures(grid, np.zeros((n, 1)))  # the SDK averages its words too: a mean of text fails


def measure(folder: Path, python: Path, times: int) -> dict[str, float]:
    """Median seconds of each way to align all videos, measured in turn."""
    held, words = read_tracks(folder), read_words(folder)
    ways: dict[str, Callable[[], float]] = {
        "the SDK's align": partial(sdk, folder, python, "files"),
        "ours, reading the files": partial(clocked, partial(from_files, folder)),
        "the SDK's align, its sequences in memory": partial(sdk, folder, python, "memory"),
        "ours, the tracks in memory": partial(clocked, partial(align, held, words)),
        "ours, weighted by overlap": partial(clocked, partial(align, held, words, Way("overlap"))),
        "ours, weighted by overlap; mean, deviation and maximum": partial(
            clocked, partial(align, held, words, Way("overlap", ("mean", "std", "max")))
        ),
    }
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(times + 1):
        for name, run in ways.items():
            found[name].append(run())
    return {name: statistics.median(each[1:]) for name, each in found.items()}  # the first is not counted


def sdk(folder: Path, python: Path, source: str) -> float:
    """Seconds of one align by the SDK, in a process of its own."""
    call = (python, HERE / "sdk_align.py", folder, source)
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the SDK failed:\n{done.stderr}")
    seconds: float = json.loads(done.stdout)
    return seconds


def clocked(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def read_tracks(folder: Path) -> Tracks:
    return {
        name: {video: track(entry) for video, entry in read_csd(folder / f"{name}.csd")} for name in TRACKS
    }


def read_words(folder: Path) -> dict[str, Float32]:
    return {video: entry.intervals.astype(np.float32) for video, entry in read_csd(folder / "words.csd")}


def track(entry: TimedFeatures) -> Track:
    return Track(entry.intervals.astype(np.float32), entry.features, np.zeros(len(entry.features), np.uint8))


def align(tracks: Tracks, words: Mapping[str, Float32], way: Way = Way()) -> Aligned:
    return {
        name: {video: pool(one, words[video], way.statistics, way.weights) for video, one in videos.items()}
        for name, videos in tracks.items()
    }


def from_files(folder: Path) -> Aligned:
    """As `align`, one video in memory at a time."""
    words, way = read_words(folder), Way()
    return {
        name: {
            video: pool(track(entry), words[video], way.statistics, way.weights)
            for video, entry in read_csd(folder / f"{name}.csd")
        }
        for name in TRACKS
    }


def difference(theirs: Path, ours: Aligned) -> tuple[int, float]:
    """How many words were compared, and the largest difference. Fails where only one of both has a word."""
    found, words, largest = np.load(theirs), 0, 0.0
    for name, videos in ours.items():
        words = 0
        for video, pooled in videos.items():
            index = found[f"{name}/{video}/index"]
            assert np.array_equal(np.sort(index), np.flatnonzero(pooled.valid)), (name, video)
            off = np.abs(found[f"{name}/{video}/features"] - pooled.statistics["mean"][index])
            largest, words = max(largest, float(off.max())), words + len(index)
    return words, largest


def table(seconds: Mapping[str, float], videos: int) -> str:
    files, memory = (seconds[f"the SDK's align{more}"] for more in ("", ", its sequences in memory"))
    rows = [
        (name, f"{each / videos * 1e3:.2f}", f"{files / each:.3g}×", f"{memory / each:.2g}×")
        for name, each in seconds.items()
    ]
    return markdown(("", "ms a video", "to the SDK", "to the SDK in memory"), rows)


if __name__ == "__main__":
    main()
