"""Claims: where nothing changed, `mimdata extract` answers in under 5 s for 23,000 utterances, and `status` in under 1 s.

Builds a corpus of MOSEI's size and a store whose results have the right keys and tiny contents, aligned into a
version of 1,000 shards; then times the commands as cron would call them. No video is opened: the files are
64 bytes of nothing.

    python benchmarks/bench_quiet_night.py [--utterances 23000]
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from report import in_turn, markdown, publish

from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.jobs import align, extract
from mimdata.pipeline.records import Clip, Tokens, Track, Words
from mimdata.pipeline.run import Options, open_run
from mimdata.pipeline.steps import Extractor, Resources, Step

TEXT = "I liked every minute of it and so did they"
A_DAY_AGO = 86_400
COMMANDS = (("--help",), ("extract",), ("align",), ("status",), ("inspect", "v0100[3]"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=23_000)
    utterances = parser.parse_args().utterances
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _corpus(place / "corpus", utterances)
        _store(place, utterances)
        files = sum(1 for _ in place.rglob("*.parquet"))
        seconds = in_turn([_command(place, *words) for words in COMMANDS])
    rows = [(f"`mimdata {' '.join(words)}`", f"{s:.2f}") for words, s in zip(COMMANDS, seconds, strict=True)]
    body = (
        f"{utterances:,} utterances of {utterances // 7:,} videos, three modalities, {files:,} Parquet files in the "
        "store, a version of 1,000 shards. Nothing changed since the last run. Medians of 5 calls, each a process "
        "of its own.\n\n" + markdown(("command", "seconds"), rows)
    )
    publish("A quiet night", "benchmarks/bench_quiet_night.py", body, ("mimdata", "pyarrow"))


def _corpus(root: Path, utterances: int) -> None:
    root.mkdir()
    before = time.time() - A_DAY_AGO
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "text", "start", "end", "sentiment", "split"))
        for i in range(utterances):
            video, k = divmod(i, 7)
            path = root / f"v{video:04d}.mp4"
            if k == 0:
                path.write_bytes(video.to_bytes(64, "little"))
                os.utime(path, (before, before))
            split = ("train", "train", "train", "valid", "test")[video % 5]
            writer.writerow((path.name, f"{TEXT} {i}", 4 * k, 4 * k + 3.5, i % 7 - 3, split))


def _store(place: Path, utterances: int) -> None:
    """A store of right keys: the real stages around steps that return a few numbers."""
    config = RunConfig(
        corpus="manifest",
        root=place / "corpus",
        store=str(place / ".mimdata"),
        workers=0,
        dataset={"shard_rows": max(1, utterances // 1_000)},  # type: ignore[arg-type]  # pydantic reads it
    )
    with patch("mimdata.pipeline.work._opened", _tiny), open_run(config, Options()) as run:
        extract(run)
        align(run)


def _tiny(step: Step, _: Resources) -> Callable[[Any, Clip], Tokens | Track | Words]:
    dim = len(step.feature_names) if isinstance(step, Extractor) else 0

    def words(_: object, clip: Clip) -> Words:
        spoken = tuple(clip.text.split())
        starts = np.linspace(0, 3, len(spoken), dtype=np.float32)
        return Words(
            spoken,
            np.stack([starts, starts + np.float32(0.1)], axis=1),
            np.ones(len(spoken), np.float32),
            np.zeros(len(spoken), np.uint8),
            np.zeros((0, 2), np.float32),
            "pocketsphinx",
        )

    def tokens(_: object, clip: Clip) -> Tokens:
        n = len(clip.text.split())
        return Tokens(
            np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32), np.ones((n, dim), np.float32)
        )

    def track(_: object, __: Clip) -> Track:
        times = np.array([[0, 1.5], [1.5, 3.5]], np.float32)
        return Track(times, np.ones((2, dim), np.float32), np.zeros(2, np.uint8))

    if not isinstance(step, Extractor):
        return words
    return tokens if step.modality == "text" else track


def _command(place: Path, *words: str) -> Callable[[], None]:
    def call() -> None:
        program = "from mimdata.pipeline.cli import main; main(prog_name='mimdata')"
        subprocess.run([sys.executable, "-c", program, *words], cwd=place, check=True, capture_output=True)

    return call


if __name__ == "__main__":
    main()
