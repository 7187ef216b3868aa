"""Claims: an hour of film in 300 utterances is extracted in less than 1.5 GiB a worker, and memory does not grow.

The film is 320×240, 25 pictures a second, one face and espeak-ng's speech throughout, cut into utterances of 12 s. The
resident memory of the worker and of the command is read each second during `mimdata extract --workers 1`.

    python benchmarks/bench_memory.py [--minutes 60]

Writes docs/memory.png and its section of docs/performance.md. The film is kept in .results for the next time.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from report import DOCS, markdown, publish

from mimdata.pipeline.corpora.demo_sentences import sentence
from mimdata.pipeline.corpora.demo_video import AUDIO_RATE, FPS, Motion, boxes, frames, record
from mimdata.pipeline.espeak import synthesise
from mimdata.pipeline.records import Float32

HERE = Path(__file__).parent
PICTURE = DOCS / "memory.png"
MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")
LEAVING = 10.0  # seconds
UTTERANCE = 12  # seconds
LIMIT = 1536.0  # MiB


@dataclass(frozen=True)
class Curve:
    """MiB each second: times (n,) from the start, worker (n,), command (n,); and the worker's own high-water mark."""

    times: npt.NDArray[np.float64]
    worker: npt.NDArray[np.float64]
    command: npt.NDArray[np.float64]
    highest: float

    def slope(self) -> float:
        """MiB a minute over the second half, but for the last seconds, in which the worker leaves."""
        end = self.times[-1]
        late = (self.times >= end / 2) & (self.times < end - LEAVING)
        return float(np.polyfit(self.times[late] / 60, self.worker[late], 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=60, help="of the film")
    minutes = parser.parse_args().minutes
    corpus = HERE.parent / ".results" / f"film-{minutes}"
    utterances = film(corpus, minutes)
    curve = watched(corpus)
    draw(curve, minutes)
    half = len(curve.worker) // 2
    rows = [
        ("peak, worker (the kernel's high-water mark)", f"{curve.highest:.0f} MiB"),
        ("median of the second half, worker", f"{np.median(curve.worker[half:]):.0f} MiB"),
        ("slope over the second half, worker", f"{curve.slope():+.2f} MiB a minute"),
        ("peak, the command with Dask's scheduler", f"{curve.command.max():.0f} MiB"),
        ("the run", f"{curve.times[-1]:.0f} s"),
    ]
    body = (
        f"One film of {minutes} minutes, {utterances} utterances of {UTTERANCE} s, 320×240 at 25 pictures a second; "
        f"`mimdata extract --workers 1`, all three modalities, cold store; resident memory once a second.\n\n"
        f"{markdown(('', ''), rows)}\n\n![Resident memory over time](memory.png)"
    )
    publish(
        "Memory of a worker over a long film",
        "benchmarks/bench_memory.py" + ("" if minutes == 60 else f" --minutes {minutes}"),
        body,
        ("mimdata", "torch", "av", "distributed"),
    )
    if curve.highest > LIMIT:
        sys.exit(f"the worker took {curve.highest:.0f} MiB, more than {LIMIT:.0f}")


def film(corpus: Path, minutes: int) -> int:
    """The film and its manifest, unless they are there → the number of utterances."""
    utterances = minutes * 60 // UTTERANCE
    manifest = corpus / "manifest.csv"
    if not manifest.exists():
        corpus.mkdir(parents=True, exist_ok=True)
        sentences = count()
        motion = Motion((0.3, 1.1, 2.5), mirrored=False, brightness=1.0)
        with record(corpus / "film.mp4") as recording:
            lines = []
            for i in range(utterances):
                text, samples = spoken(sentences)
                times = (i * UTTERANCE * FPS + np.arange(UTTERANCE * FPS)) / FPS
                nod = 4 * np.sin(2 * np.pi * 1.3 * times)
                recording.add(samples, frames(motion, boxes(motion, times, nod)))
                lines.append(("film.mp4", text, i * UTTERANCE, (i + 1) * UTTERANCE))
        with manifest.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("source", "text", "start", "end"), *lines])
    return utterances


def spoken(sentences: Iterator[int]) -> tuple[str, Float32]:
    """As many sentences as fit into an utterance, and their sound over a faint noise, of an utterance's length."""
    sound = np.random.default_rng(0).normal(0, 2e-4, UTTERANCE * AUDIO_RATE).astype(np.float32)
    texts, at = [], AUDIO_RATE // 4
    while True:
        said = sentence(next(sentences))
        samples = synthesise(said.text, "en-us+f2", 165, 50)[0]
        if at + len(samples) > len(sound):
            return " ".join(texts), np.clip(sound, -0.99, 0.99)
        sound[at : at + len(samples)] += 0.7 * samples
        texts.append(said.text)
        at += len(samples)


def watched(corpus: Path) -> Curve:
    """Extract it into a store that did not exist, and watch."""
    points: list[tuple[float, float, float]] = []
    highest = 0.0
    with tempfile.TemporaryDirectory() as store:
        call = ("extract", "--corpus", "manifest", "--root", str(corpus), "--store", store, "--workers", "1")
        began = time.perf_counter()
        with subprocess.Popen((*MIMDATA, *call), stdout=subprocess.DEVNULL) as command:
            ours = psutil.Process(command.pid)
            while command.poll() is None:
                worker = largest_child(ours)
                if worker is not None:
                    highest = max(highest, high_water(worker))
                    points.append((time.perf_counter() - began, resident(worker), resident(ours)))
                time.sleep(max(0.0, 1 - (time.perf_counter() - began) % 1))
        if command.returncode:
            sys.exit(f"mimdata extract ended with {command.returncode}")
    times, worker_curve, command_curve = np.array([p for p in points if min(p) > 0]).T
    return Curve(times, worker_curve, command_curve, highest)


def largest_child(process: psutil.Process) -> psutil.Process | None:
    """The worker: beside it there is only the tracker of shared resources."""
    return max(process.children(recursive=True), key=resident, default=None)


def resident(process: psutil.Process) -> float:
    """MiB; 0 for one that has ended."""
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def high_water(process: psutil.Process) -> float:
    """MiB, the most that a process ever held; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def draw(curve: Curve, minutes: int) -> None:
    """Both curves and the limit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot(curve.times / 60, curve.worker, label="worker")
    axes.plot(curve.times / 60, curve.command, label="command with Dask's scheduler")
    axes.axhline(LIMIT, color="grey", linestyle="--", linewidth=1, label="1.5 GiB")
    axes.set(xlabel=f"minutes since the start, for {minutes} minutes of film", ylabel="resident memory, MiB")
    axes.set_ylim(0, LIMIT * 1.15)
    axes.legend(frameon=False, ncols=3, loc="upper center")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
