"""Claim: comparing each part with its digest when it is read costs pooling and writing less than a tenth of their time.

Writes parts as large corpora have them, then reads them as pooling and the writer of versions do, with and without the
comparison; and a version's shards, as a second `mimdata align` does. All from the page cache, which is the worst case:
a disk is slower than sha256.

    python benchmarks/bench_digests.py
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from report import in_turn, markdown, publish

from mimdata.pipeline.config import PoolingConfig
from mimdata.pipeline.dataset.rows import row
from mimdata.pipeline.records import Reason, Tokens, Track, Words
from mimdata.pipeline.store import parts
from mimdata.pipeline.store.codec import Result, decode, encode, schema_of, table
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import Outcome, Receipt, read_rows, write_part

CLIPS, SECONDS, WORDS = 16, 8.0, 20  # a task's, at MOSEI's length
PARTS = 20
AUDIO, FACE, TEXT = 25, 512, 768


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Folder(folder)
        receipts = [_written(store, number) for number in range(PARTS)]
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet")) / 1e6
        checked, bare = in_turn([_reading(store, receipts), _unchecked(_reading(store, receipts))])
        pooled, pooled_bare = in_turn([_pooling(store, receipts), _unchecked(_pooling(store, receipts))])
    rate = _rate()
    rows = [
        ("read the parts", f"{bare:.3f}", f"{checked:.3f}", f"+{100 * (checked / bare - 1):.0f}%"),
        ("read and pool", f"{pooled_bare:.3f}", f"{pooled:.3f}", f"+{100 * (pooled / pooled_bare - 1):.0f}%"),
    ]
    body = (
        f"{PARTS} tasks of {CLIPS} clips of {SECONDS:g} s: voice {AUDIO} × 100 Hz, face {FACE} × 5 Hz, text {TEXT} a word piece; "
        f"{size:.0f} MB of parts, from the page cache, one thread; sha256 at {rate:.0f} MB/s.\n\n"
        + markdown(("", "without digests, s", "with, s", "cost"), rows)
    )
    publish(
        "What comparing parts with their digests costs",
        "benchmarks/bench_digests.py",
        body,
        ("mimdata", "pyarrow"),
    )


def _results(random: np.random.Generator) -> dict[str, Result]:
    edges = np.linspace(0, SECONDS, WORDS + 1, dtype=np.float32)
    pieces = np.repeat(np.arange(WORDS), 2).astype(np.int32)
    text = random.normal(size=(len(pieces), TEXT)).astype(np.float32)
    return {
        "tracks/text": Tokens(np.arange(len(pieces), dtype=np.int32), pieces, text),
        "tracks/audio": _track(random, 100, AUDIO),
        "tracks/vision": _track(random, 5, FACE),
        "words": Words(
            tuple(f"word{i}" for i in range(WORDS)),
            np.stack([edges[:-1], edges[1:]], 1),
            np.ones(WORDS, np.float32),
            np.zeros(WORDS, np.uint8),
            np.zeros((0, 2), np.float32),
            "bench",
        ),
    }


def _track(random: np.random.Generator, rate: int, dim: int) -> Track:
    start = np.arange(int(SECONDS * rate)) / rate
    times = np.stack([start, start + 1 / rate], 1).astype(np.float32)
    values = random.normal(size=(len(start), dim)).astype(np.float32)
    return Track(times, values, np.full(len(start), Reason.VALID, np.uint8))


def _written(store: Folder, number: int) -> dict[str, Receipt]:
    random = np.random.default_rng(number)
    made = [_results(random) for _ in range(CLIPS)]
    outcomes = [Outcome(f"{number}-{i}", f"v{number}[{i}]", "{}") for i in range(CLIPS)]
    return {
        kind: write_part(
            store, kind, outcomes, table([encode(m[kind]) for m in made], schema_of(made[0][kind]))
        )
        for kind in made[0]
    }


def _reading(store: Folder, receipts: list[dict[str, Receipt]]) -> Callable[[], float]:
    return lambda: _timed(lambda: [_decoded(store, mine) for mine in receipts])


def _pooling(store: Folder, receipts: list[dict[str, Receipt]]) -> Callable[[], float]:
    return lambda: _timed(lambda: [_pooled(store, mine) for mine in receipts])


def _decoded(store: Folder, mine: dict[str, Receipt]) -> dict[str, list[Result]]:
    return {kind: decode(read_rows(store, kind, r.part, range(CLIPS))) for kind, r in mine.items()}


def _pooled(store: Folder, mine: dict[str, Receipt]) -> list[pa.Table]:
    results = _decoded(store, mine)
    tables = []
    for i in range(CLIPS):
        words = results["words"][i]
        assert isinstance(words, Words)
        tracks = {k.removeprefix("tracks/"): r[i] for k, r in results.items() if k != "words"}
        tables.append(row(words, tracks, PoolingConfig()))  # type: ignore[arg-type]
    return tables


def _unchecked(measure: Callable[[], float]) -> Callable[[], float]:
    def bare() -> float:
        with patch.object(parts, "NAMED", parts.re.compile("never")):
            return measure()

    return bare


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _rate() -> float:
    block = bytes(64 << 20)
    return 64 * 1.048576 / _timed(lambda: hashlib.sha256(block).hexdigest())


if __name__ == "__main__":
    main()
