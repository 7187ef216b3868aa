"""The peers of bench_loader.py: the same utterances in each one's own format, shuffled, padded to batches of 64.

    python loader_peers.py litdata|streaming|webdataset|datasets SOURCE WORK

SOURCE holds the Parquet shards; the first 20,000 utterances are converted, once, into WORK. Two worker processes, as
each one's documentation has it. Prints {first, rate} of one epoch, which stops after 20 s.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

DIMS = {"text": 384, "audio": 25, "vision": 16}
BATCH, WORKERS, ROWS, LIMIT = 64, 2, 20_000, 20.0
Sample = dict[str, Any]


def main() -> None:
    name, source, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    place = work / name
    if name != "datasets" and not (place / "done").exists():
        place.mkdir(parents=True, exist_ok=True)
        WRITERS[name](place, source)
        (place / "done").touch()
    batches = LOADERS[name](source if name == "datasets" else place, 0)
    began = time.perf_counter()
    count, first = 0, 0.0
    for batch in batches:
        first = first or time.perf_counter() - began
        count += len(batch["sentiment"])
        if time.perf_counter() - began > LIMIT:
            break
    print(json.dumps({"first": first, "rate": count / (time.perf_counter() - began)}))


def samples(source: Path) -> Iterator[Sample]:
    """{sentiment, text (w, 384), audio (w, 25), vision (w, 16)} of the first utterances."""
    import pyarrow.parquet as pq

    done = 0
    for file in sorted(source.glob("*.parquet")):
        table = pq.read_table(file, columns=["sentiment", *(f"{m}_mean" for m in DIMS)])
        for i in range(len(table)):
            if done == ROWS:
                return
            done += 1
            values = {
                m: table.column(f"{m}_mean")[i].values.flatten().to_numpy().reshape(-1, d)
                for m, d in DIMS.items()
            }
            yield {"sentiment": np.float32(table.column("sentiment")[i].as_py()), **values}


def padded(rows: list[Sample]) -> dict[str, torch.Tensor]:
    """One batch."""
    longest = max(len(row["text"]) for row in rows)
    made = {m: np.zeros((len(rows), longest, d), np.float32) for m, d in DIMS.items()}
    mask = np.zeros((len(rows), longest), np.bool_)
    for i, row in enumerate(rows):
        n = len(row["text"])
        mask[i, :n] = True
        for m in DIMS:
            made[m][i, :n] = row[m]
    batch = {m: torch.from_numpy(numbers) for m, numbers in made.items()}
    return batch | {
        "mask": torch.from_numpy(mask),
        "sentiment": torch.tensor([float(row["sentiment"]) for row in rows]),
    }


def write_litdata(place: Path, source: Path) -> None:
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(place), chunk_bytes="64MB")
    for i, sample in enumerate(samples(source)):
        writer[i] = {k: torch.from_numpy(np.array(v)) for k, v in sample.items()}
    writer.done()
    writer.merge()


def load_litdata(place: Path, epoch: int) -> Iterable[Any]:
    from litdata import StreamingDataLoader, StreamingDataset

    data = StreamingDataset(str(place), shuffle=True, seed=epoch)
    return StreamingDataLoader(data, batch_size=BATCH, num_workers=WORKERS, collate_fn=_tensors)


def _tensors(rows: list[Sample]) -> dict[str, torch.Tensor]:
    return padded([{k: v.numpy() for k, v in row.items()} for row in rows])


def write_streaming(place: Path, source: Path) -> None:
    from streaming import MDSWriter

    columns = {"sentiment": "float32", **dict.fromkeys(DIMS, "ndarray:float32")}
    with MDSWriter(out=str(place / "mds"), columns=columns) as writer:
        for sample in samples(source):
            writer.write(sample)


def load_streaming(place: Path, epoch: int) -> Iterable[Any]:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    data = StreamingDataset(local=str(place / "mds"), shuffle=True, batch_size=BATCH, shuffle_seed=epoch)
    return DataLoader(data, batch_size=BATCH, num_workers=WORKERS, collate_fn=padded)


def write_webdataset(place: Path, source: Path) -> None:
    import webdataset as wds

    with wds.ShardWriter(str(place / "%05d.tar"), maxcount=1024, verbose=0) as writer:
        for i, sample in enumerate(samples(source)):
            values = {f"{m}.npy": sample[m] for m in DIMS}
            writer.write({"__key__": f"{i:07d}", "sentiment.npy": np.array(sample["sentiment"]), **values})


def load_webdataset(place: Path, epoch: int) -> Iterable[Any]:
    import webdataset as wds

    files = [str(file) for file in sorted(place.glob("*.tar"))]
    data = wds.WebDataset(files, shardshuffle=len(files), seed=epoch).shuffle(1000).decode().map(_named)
    return wds.WebLoader(data.batched(BATCH, collation_fn=padded), batch_size=None, num_workers=WORKERS)


def _named(sample: Sample) -> Sample:
    return {name: sample[f"{name}.npy"] for name in ("sentiment", *DIMS)}


def load_datasets(source: Path, epoch: int) -> Iterable[Any]:
    from datasets import load_dataset

    columns = ["sentiment", *(f"{m}_mean" for m in DIMS)]
    files = [str(file) for file in sorted(source.glob("*.parquet"))]
    data = load_dataset("parquet", data_files=files, split="train", streaming=True, columns=columns)
    data = data.shuffle(seed=epoch, buffer_size=1000).with_format("numpy")
    return DataLoader(data, batch_size=BATCH, num_workers=WORKERS, collate_fn=_meant)


def _meant(rows: list[Sample]) -> dict[str, torch.Tensor]:
    return padded(
        [{"sentiment": row["sentiment"], **{m: np.stack(row[f"{m}_mean"]) for m in DIMS}} for row in rows]
    )


WRITERS: dict[str, Callable[[Path, Path], None]] = {
    "litdata": write_litdata,
    "streaming": write_streaming,
    "webdataset": write_webdataset,
}
LOADERS: dict[str, Callable[[Path, int], Iterable[Any]]] = {
    "litdata": load_litdata,
    "streaming": load_streaming,
    "webdataset": load_webdataset,
    "datasets": load_datasets,
}

if __name__ == "__main__":
    main()
