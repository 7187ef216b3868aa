"""Dataset versions for the tests of mim: small, learnable, in the layout that `mimdata align` publishes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from mimdata.mim.batch import Batch
from mimdata.pipeline.dataset.manifest import FILE, FORMAT, LATEST, Manifest, digest_of
from mimdata.pipeline.dataset.plain import shard_bytes
from mimdata.pipeline.dataset.schema import UTTERANCE_FIELDS, label_fields, row_fields


@dataclass
class Row:
    """One utterance to write: values {column: (w, d)}, valid {modality: (w,)}."""

    clip_id: str
    split: str
    values: Mapping[str, np.ndarray]
    valid: Mapping[str, np.ndarray]
    sentiment: float | None
    word_type: Sequence[str] = ()
    emotions: Mapping[str, float] = field(default_factory=dict)
    token_ids: Sequence[int] | None = None
    token_words: Sequence[int] = ()


WriteVersion = Callable[..., Path]


def _columns(row: Row, modalities: Mapping[str, tuple[int, Sequence[str]]]) -> dict[str, Any]:
    w = len(next(iter(row.valid.values())))
    video, _, segment = row.clip_id.partition("[")
    columns: dict[str, Any] = {
        "clip_id": row.clip_id,
        "video_id": video,
        "segment": int(segment.rstrip("]")),
        "split": row.split,
        "language": "en",
        "source": "x.mp4",
        "text": "",
        "sentiment": row.sentiment,
        "words": ["w"] * w,
        "word_type": list(row.word_type) or ["word"] * w,
        "word_start": np.arange(w, dtype=np.float32),
        "word_end": np.arange(w, dtype=np.float32) + 1,
        "word_confidence": np.ones(w, np.float32),
        "word_status": ["aligned"] * w,
        "alignment": "given",
        "suspect": [],
        "token_ids": row.token_ids,
        "token_words": row.token_words,
    } | {f"emotion_{name}": value for name, value in row.emotions.items()}
    for m, (_, statistics) in modalities.items():
        columns |= {f"{m}_{s}": list(row.values[f"{m}_{s}"]) for s in statistics}
        columns |= {
            f"{m}_valid": row.valid[m],
            f"{m}_frames": np.ones(w, np.int32),
            f"{m}_nearest": [False] * w,
        }
    return columns


def _statistics(rows: Sequence[Row], column: str) -> dict[str, Any]:
    modality = column.rpartition("_")[0]
    train = [row.values[column][row.valid[modality]] for row in rows if row.split == "train"]
    values = np.concatenate(train).astype(np.float64) if train else np.zeros((0, 1))
    if not len(values):
        return {"mean": [], "std": [], "count": 0}
    return {"mean": values.mean(0).tolist(), "std": values.std(0).tolist(), "count": len(values)}


def write(
    store: Path,
    rows: Sequence[Row],
    modalities: Mapping[str, tuple[int, Sequence[str]]],
    corpus: str = "made",
    shard_rows: int = 40,
    row_group: int = 16,
) -> Path:
    """Publish a version in a store; the folder of the version."""
    emotions = sorted({name for row in rows for name in row.emotions})
    tokens = rows[0].token_ids is not None
    schema = pa.schema(
        [
            *UTTERANCE_FIELDS,
            *label_fields(f"emotion_{name}" for name in emotions),
            *row_fields(modalities, tokens),
        ]
    )
    folder = store / "datasets" / corpus / "version"
    folder.mkdir(parents=True)
    shards = []
    for split in ("train", "valid", "test"):
        mine = [row for row in rows if row.split == split]
        for number, first in enumerate(range(0, len(mine), shard_rows)):
            file = folder / f"{split}-{number:05d}.parquet"
            chunk = [_columns(row, modalities) for row in mine[first : first + shard_rows]]
            content = shard_bytes(pa.Table.from_pylist(chunk, schema), row_group)
            file.write_bytes(content)
            shards.append(
                {
                    "file": file.name,
                    "split": split,
                    "rows": len(chunk),
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
    content = {
        "format": FORMAT,
        "corpus": corpus,
        "rows": len(rows),
        "splits": {},
        "shards": shards,
        "modalities": {
            m: {"dim": d, "feature_names": [f"f{i}" for i in range(d)], "statistics": list(s), "step": {}}
            for m, (d, s) in modalities.items()
        },
        "emotions": emotions,
        "aligner": {"step": "given"},
        "pooling": {"weights": "overlap", "statistics": ["mean"], "pauses": "drop"},
        "statistics": {
            f"{m}_{x}": _statistics(rows, f"{m}_{x}") for m, (_, s) in modalities.items() for x in s
        },
    }
    manifest = Manifest({"version": "version", "digest": digest_of(content), "created": "now", **content})
    (folder / FILE).write_text(manifest.to_json(), encoding="utf-8")
    (folder.parent / LATEST).write_text("version\n", encoding="utf-8")
    return folder


SMALL = {"text": (6, ("mean",)), "audio": (4, ("mean", "std")), "vision": (3, ("mean",))}


def learnable(n: Mapping[str, int], seed: int = 1, longest: int = 9) -> list[Row]:
    """Rows whose sentiment is in the first feature of every word of text, less clearly of voice and face."""
    random = np.random.default_rng(seed)
    rows = []
    for split, count in n.items():
        for i in range(count):
            w = int(random.integers(2, longest + 1))
            y = float(np.round(random.uniform(-3, 3) * 5) / 5)
            values = {
                f"{m}_{s}": random.normal(size=(w, d)).astype(np.float32)
                for m, (d, ss) in SMALL.items()
                for s in ss
            }
            for m, clear in (("text", 1.0), ("audio", 0.4), ("vision", 0.2)):
                values[f"{m}_mean"][:, 0] += np.float32(clear * y)
            valid = {m: np.ones(w, bool) for m in SMALL}
            valid["vision"] = random.uniform(size=w) > 0.3
            values["vision_mean"][~valid["vision"]] = 0
            ids = [101, *random.integers(200, 300, 2 * w), 102]
            words = [-1, *np.repeat(np.arange(w), 2), -1]
            emotions = {"happy": max(y, 0.0), "sad": max(-y, 0.0)}
            rows.append(Row(f"{split}{i // 4}[{i % 4}]", split, values, valid, y, (), emotions, ids, words))
    return rows


@pytest.fixture(scope="session")
def write_version() -> WriteVersion:
    """Writes a dataset version into a store."""
    return write


@pytest.fixture(scope="session")
def made_rows() -> list[Row]:
    """64 utterances to learn from, 24 to choose by, 24 to test with."""
    return learnable({"train": 64, "valid": 24, "test": 24})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, made_rows: list[Row]) -> Path:
    """A store with one version of the corpus "made"; the folder of the version."""
    return write(tmp_path_factory.mktemp("store"), made_rows, SMALL)


DIMS = {"text": 6, "audio": 4, "vision": 3}


@pytest.fixture
def random_batch() -> Callable[..., Batch]:
    """Batches of random features and labels, every step valid up to each length."""

    def build(lengths: Sequence[int] = (5, 3, 7), seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        b, longest = len(lengths), max(lengths)
        valid = torch.arange(longest) < torch.tensor(lengths)[:, None]
        values = {
            m: torch.randn(b, longest, d, generator=generator, dtype=dtype) * valid.unsqueeze(-1)
            for m, d in DIMS.items()
        }
        sentiment = torch.rand(b, generator=generator, dtype=dtype) * 6 - 3
        return Batch(
            values,
            dict.fromkeys(DIMS, valid),
            torch.tensor(lengths),
            sentiment,
            torch.zeros(b, 0, dtype=dtype),
            tuple(f"v[{i}]" for i in range(b)),
        )

    return build


@pytest.fixture(scope="session")
def dev229(shared_data: Path) -> tuple[list[Row], Mapping[str, tuple[int, Sequence[str]]]]:
    """The word-aligned validation fold of MOSI as rows: 229 utterances, its 10 videos dealt into three splits."""
    data = np.load(shared_data / "mosi" / "dev229_wordaligned.npz", allow_pickle=False)
    ends = np.cumsum(data["length"])
    names, labels = data["segment"].tolist(), data["label"].tolist()
    videos = sorted({clip_id.partition("[")[0] for clip_id in names})
    split = dict(zip(videos, ["train"] * 7 + ["valid"] + ["test"] * 2, strict=True))
    rows = []
    for clip_id, y, n, end in zip(names, labels, data["length"], ends, strict=True):
        values = {"vision_mean": data["visual"][end - n : end], "audio_mean": data["acoustic"][end - n : end]}
        valid = {m: np.abs(values[f"{m}_mean"]).sum(1) > 0 for m in ("audio", "vision")}
        rows.append(Row(clip_id, split[clip_id.partition("[")[0]], values, valid, y))
    return rows, {"audio": (74, ("mean",)), "vision": (47, ("mean",))}
