"""How fast do batches come? Word-aligned utterances of random numbers, batches of 64, shuffled, warm page cache.

Each utterance has 5 to 50 words of 384 + 25 + 16 float32. Ours: the first epoch straight from the
shards, which also writes the decoded copy; the same without a copy; an epoch from the copy, as a process's first and as its
third. Against it a shuffled copy out of one memory map into padded batches, which
is what the memory can do, and, with --peers, LitData, MosaicML Streaming, WebDataset and `datasets`, each in an environment of
its own and used as its documentation recommends (loader_peers.py).

    python benchmarks/bench_loader.py [--rows 100000] [--text-dim 384] [--peers] [--work .results/loader]
    python benchmarks/bench_loader.py --scale 10000 1000000 --text-dim 32

Writes its section of docs/performance.md. What was generated is kept under --work for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from report import markdown, publish

from mimdata.mim.dataset import open_dataset
from mimdata.mim.decoded import key_of
from mimdata.mim.loader import Feed, Loading
from mimdata.pipeline.dataset.manifest import FILE, FORMAT, Manifest, digest_of
from mimdata.pipeline.dataset.plain import shard_bytes
from mimdata.pipeline.dataset.schema import UTTERANCE_FIELDS, matrix_type, row_fields

DIMS = {"text": 384, "audio": 25, "vision": 16}
SHORTEST, LONGEST, BATCH, SHARD = 5, 50, 64, 1024
EPOCHS = 20  # of few utterances, whose epoch is over in a moment
WAYS = ("shards, writing the copy", "shards alone", "copy", "copy, third epoch", "memory map")
PEERS = ("litdata", "streaming", "webdataset", "datasets")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=Path(".results/loader"))
    parser.add_argument("--text-dim", type=int, default=DIMS["text"], help="narrower text, for many rows")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--scale", type=int, nargs=2, metavar=("FEW", "MANY"), help="the paces at two sizes, instead"
    )
    parser.add_argument("--epochs", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    DIMS["text"] = options.text_dim
    if options.scale:
        _scale(options)
        return
    version = generate(options.work, options.rows)
    if options.measure:
        print(json.dumps(measure(options.measure, version, options.work, options.epochs)))
        return
    peers = PEERS if options.peers else ()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in (*WAYS, *peers)}
    for _ in range(options.times):
        for way in WAYS:
            found[way].append(_in_a_process(way, options))
        for name in peers:
            found[name].append(_peer(name, options))
    publish(
        f"The loader, {options.rows:,} utterances of {sum(DIMS.values())} numbers a word",
        f"benchmarks/bench_loader.py --rows {options.rows}"
        + (f" --text-dim {options.text_dim}" if options.text_dim != 384 else "")
        + (" --peers" if options.peers else ""),
        _body(found, options),
        ("mimdata", "torch", "pyarrow"),
    )


def _scale(options: argparse.Namespace) -> None:
    """The pace after the first batch, of few and of many utterances."""
    rows = []
    for way in WAYS:
        found: dict[int, list[float]] = {size: [] for size in options.scale}
        for _ in range(options.times):
            for size in options.scale:
                generate(options.work, size)
                options.rows = size
                # As many utterances of few as of many, or what a training of few reads; the copy is written in one epoch.
                options.epochs = 1 if way == WAYS[0] else min(EPOCHS, options.scale[1] // size)
                found[size].append(_in_a_process(way, options)["steady"])
        few, many = (statistics.median(found[size]) for size in options.scale)
        rows.append(
            (
                way if way == "memory map" else f"ours, {way}",
                f"{few:,.0f}",
                f"{many:,.0f}",
                f"{many / few:.2f}",
            )
        )
    few, many = options.scale
    publish(
        "The loader, few utterances and many",
        f"benchmarks/bench_loader.py --scale {few} {many} --text-dim {options.text_dim}",
        f"{'/'.join(map(str, DIMS.values()))} float32 a word, so that both fit the disk; utterances/s after the first batch, medians "
        f"of {options.times} processes. A process reads {few:,} for up to {EPOCHS} epochs, one after another, and {many:,} for one; "
        "while the copy is written, both for one: there the few are over in a sixth of a second, and a third of them was read before the "
        "first batch, so that their pace is none that lasts.\n\n"
        + markdown(("", f"{few:,}", f"{many:,}", "many to few"), rows),
        ("mimdata", "torch", "pyarrow"),
    )


def generate(work: Path, rows: int) -> Path:
    """A dataset version of so many utterances in shards of 1,024; equal calls give equal bytes."""
    folder = work / _name(rows)
    if (folder / FILE).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    random, shards = np.random.default_rng(rows), []
    for number, first in enumerate(range(0, rows, SHARD)):
        file = folder / f"train-{number:05d}.parquet"
        table = _table(random, first, min(SHARD, rows - first))
        content = shard_bytes(table)
        file.write_bytes(content)
        shards.append(
            {
                "file": file.name,
                "split": "train",
                "rows": len(table),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    about = {
        "format": FORMAT,
        "corpus": "random",
        "rows": rows,
        "splits": {"train": rows},
        "shards": shards,
        "modalities": {
            m: {"dim": d, "feature_names": [f"{m}_{i}" for i in range(d)], "statistics": ["mean"], "step": {}}
            for m, d in DIMS.items()
        },
        "emotions": [],
        "statistics": {
            f"{m}_mean": {"mean": [0.0] * d, "std": [1.0] * d, "count": 1} for m, d in DIMS.items()
        },
        "aligner": {"step": "given"},
        "pooling": {"weights": "overlap", "statistics": ["mean"], "pauses": "drop"},
    }
    sha256 = digest_of(about)
    manifest = Manifest({"version": sha256[:12], "digest": sha256, "created": "", **about})
    (folder / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return folder


def _name(rows: int) -> str:
    return f"{rows}-{'-'.join(map(str, DIMS.values()))}"


def _table(random: np.random.Generator, first: int, rows: int) -> pa.Table:
    lengths = random.integers(SHORTEST, LONGEST + 1, rows)
    words = int(lengths.sum())
    begins = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())

    def each(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.ListArray.from_arrays(begins, pa.array(values, kind))

    ids = [f"v{(first + i) // 8}[{(first + i) % 8}]" for i in range(rows)]
    columns: dict[str, Any] = {
        "clip_id": ids,
        "video_id": [name.partition("[")[0] for name in ids],
        "segment": [(first + i) % 8 for i in range(rows)],
        "split": ["train"] * rows,
        "speaker": [None] * rows,
        "language": ["en"] * rows,
        "source": ["x.mp4"] * rows,
        "start": [None] * rows,
        "end": [None] * rows,
        "text": [""] * rows,
        "sentiment": random.uniform(-3, 3, rows),
        "words": each(["word"] * words, pa.string()),
        "word_type": each(["word"] * words, pa.string()),
        "word_start": each(np.arange(words, dtype=np.float32), pa.float32()),
        "word_end": each(np.arange(words, dtype=np.float32), pa.float32()),
        "word_confidence": each(np.ones(words, np.float32), pa.float32()),
        "word_status": each(["aligned"] * words, pa.string()),
        "alignment": ["given"] * rows,
        "suspect": [[]] * rows,
    }
    for m, d in DIMS.items():
        kind = matrix_type(d)
        flat = pa.array(random.standard_normal(words * d, np.float32))
        lines = pa.FixedSizeListArray.from_arrays(flat, type=kind.value_type)
        columns |= {
            f"{m}_mean": pa.ListArray.from_arrays(begins, lines, type=kind),
            f"{m}_valid": each(np.ones(words, np.bool_), pa.bool_()),
            f"{m}_frames": each(np.ones(words, np.int32), pa.int32()),
            f"{m}_nearest": each(np.zeros(words, np.bool_), pa.bool_()),
        }
    fields = [*UTTERANCE_FIELDS, *row_fields({m: (d, ("mean",)) for m, d in DIMS.items()}, tokens=False)]
    schema = pa.schema(fields)
    arrays = [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def _in_a_process(way: str, options: argparse.Namespace) -> dict[str, float]:
    call = [
        sys.executable,
        __file__,
        "--measure",
        way,
        "--rows",
        str(options.rows),
        "--work",
        str(options.work),
        "--text-dim",
        str(options.text_dim),
        "--epochs",
        str(options.epochs),
    ]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(way: str, version: Path, work: Path, epochs: int) -> dict[str, float]:
    """first: seconds to the first batch; rate: utterances/s of the whole; steady: of all but the first batch, of `epochs` epochs.

    private and rss: GiB at their peak, the process's own and all that is resident. left: seconds until the copy is there.
    """
    loading = Loading(
        tuple(DIMS),
        steps=LONGEST,
        batch_size=BATCH,
        standardise=True,
        copies_gib=1000,
        copies=work / "copies",
    )
    copy = work / "copies" / key_of(open_dataset(version), "train", loading.selected)
    if way == "shards, writing the copy":
        shutil.rmtree(copy, ignore_errors=True)
    elif way == "shards alone":
        loading = replace(loading, copies_gib=0)
    began = time.perf_counter()
    feed = Feed(open_dataset(version), "train", loading)
    if way == "copy, third epoch":
        for epoch in (1, 2):
            for _ in feed.batches((0, epoch)):
                pass
        began = time.perf_counter()

    def batches() -> Iterator[Any]:
        for epoch in range(epochs):
            yield from (
                _memory_map(copy, version, epoch) if way == "memory map" else feed.batches((0, 9 + epoch))
            )

    made = batches()
    count = len(next(made))  # BATCH
    first = time.perf_counter() - began
    private = 0.0
    for i, n in enumerate(map(len, made)):
        count += n
        if i % 50 == 0:
            private = max(private, _private())
    seconds = time.perf_counter() - began
    feed.finish_copy()
    return {
        "first": first,
        "left": time.perf_counter() - began - seconds,
        "rate": count / seconds,
        "steady": (count - BATCH) / (seconds - first),
        "private": private,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _private() -> float:
    """GiB that belong to this process alone: what is mapped from files can be dropped at any time and is not counted."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["RssAnon"].split()[0]) / 2**20


def _memory_map(place: Path, version: Path, epoch: int) -> Iterator[list[Any]]:
    """What needs doing and nothing else: rows of one shuffle out of mapped files into fresh padded arrays."""
    lengths = np.concatenate(
        [
            pq.ParquetFile(f).read(["word_start"]).column(0).combine_chunks().value_lengths().to_numpy()
            for f in sorted(version.glob("*.parquet"))
        ]
    )
    begins = np.concatenate([[0], np.cumsum(lengths)])
    values = {
        m: np.memmap(place / f"{m}.values", np.float32, "r").view(np.ndarray).reshape(-1, d)
        for m, d in DIMS.items()
    }
    order = np.random.default_rng(epoch).permutation(len(lengths))
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        made = {m: np.zeros((len(rows), int(lengths[rows].max()), d), np.float32) for m, d in DIMS.items()}
        for m, numbers in made.items():
            for i, row in enumerate(rows):
                numbers[i, : lengths[row]] = values[m][begins[row] : begins[row] + lengths[row]]
        yield list(rows)


def _peer(name: str, options: argparse.Namespace) -> dict[str, float]:
    here = Path(__file__).parent
    python = options.work / "peers" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(options.work / "peers")], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "-r", str(here / "loader_peers.txt")], check=True
        )
    places = (str(options.work / _name(options.rows)), str(options.work / "peers-data"))
    call = [str(python), str(here / "loader_peers.py"), name, *places]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _body(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> str:
    def median(way: str, name: str) -> float:
        return statistics.median(run[name] for run in found[way])

    peers = [name for name in PEERS if name in found]
    best = max((median(name, "rate") for name in peers), default=None)
    rows = []
    for way in found:
        rate = median(way, "rate")
        rows.append(
            (
                f"ours, {way}" if way in WAYS[:4] else way,
                f"{rate:,.0f}",
                f"{rate / median('memory map', 'rate'):.2f}",
                f"{rate / best:.1f}×" if best else "",
                f"{median(way, 'first'):.2f}",
                "" if way in peers else f"{median(way, 'private'):.2f}",
                "" if way in peers else f"{median(way, 'rss'):.2f}",
            )
        )
    names: Sequence[str] = (
        "",
        "utterances/s",
        "of the memory map",
        "of the best peer",
        "first batch, s",
        "own memory, GiB",
        "resident, GiB",
    )
    size = sum(f.stat().st_size for f in (options.work / _name(options.rows)).glob("*.parquet")) / 2**30
    return (
        f"{options.rows:,} utterances of {SHORTEST} to {LONGEST} words, {'/'.join(map(str, DIMS.values()))} float32 a word, "
        f"{size:.1f} GiB of Parquet; batches of {BATCH}, shuffled, standardised, padded; medians of {options.times} epochs, each in "
        "a process of its own; the rate includes the start, but for the third epoch of a process. Memory at its peak: the process's own, and with it the "
        f"libraries' code and mapped files, which are the page cache's. The copy is on the disk {median(WAYS[0], 'left'):.1f} s after the last batch of the "
        "epoch that writes it; the next epoch would wait for that.\n\n" + markdown(names, rows)
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
