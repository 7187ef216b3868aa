"""A small published dataset, made from the writer's own inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mimdata.pipeline.config import DatasetConfig, PoolingConfig
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.pooling import ROWS
from mimdata.pipeline.dataset.rows import row
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.dataset.writer import DatasetRow, Description, canonical_order, write_version
from mimdata.pipeline.records import Clip, Reason, Split, Tokens, Track, Words
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import Location, Outcome, write_part

TEXT = ("so", "good")
WORDS = Words(
    TEXT,
    np.array([[0, 0.5], [0.7, 1]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([0, 1], np.uint8),
    np.array([[0.5, 0.7]], np.float32),
    "pocketsphinx",
)


def results(seed: int) -> dict[str, Track | Tokens]:
    """Text of 4, voice of 3 and a face of 2 columns; the second word has no face."""
    random = np.random.default_rng(seed)
    start = np.arange(100, dtype=np.float32) / 100
    audio = random.normal(size=(100, 3)).astype(np.float32)
    face_start = np.arange(5, dtype=np.float32) / 5
    reason = np.array([0, 0, 0, Reason.NO_FACE, Reason.NO_FACE], np.uint8)
    face = np.where(reason[:, None] == 0, random.normal(size=(5, 2)), 0).astype(np.float32)
    return {
        "text": Tokens(
            np.array([101, 5, 6, 7, 102], np.int32),
            np.array([-1, 0, 1, 1, -1], np.int32),
            random.normal(size=(5, 4)).astype(np.float32),
        ),
        "audio": Track(np.stack([start, start + 0.01], 1).astype(np.float32), audio, np.zeros(100, np.uint8)),
        "vision": Track(np.stack([face_start, face_start + 0.2], 1).astype(np.float32), face, reason),
    }


def clip(number: int, split: Split | None) -> Clip:
    """One of the clips of the fixture."""
    return Clip(
        f"v{number % 3}[{number}]", f"v{number % 3}", number, "v.mp4", 0.0, 1.0, " ".join(TEXT), split=split,
        sentiment=float(number % 7 - 3), emotions={"happy": 1.0} if number % 2 else {},
    )  # fmt: skip


def description(pooling: PoolingConfig) -> Description:
    """What the manifest says of its modalities."""
    dims = {
        "text": (4, ["mean"]),
        "audio": (3, list(pooling.statistics)),
        "vision": (2, list(pooling.statistics)),
    }
    about = {
        name: {
            "dim": d,
            "feature_names": [f"{name}{i}" for i in range(d)],
            "statistics": s,
            "step": {"step": name},
        }
        for name, (d, s) in dims.items()
    }
    return Description("fixture", about, {"step": "pocketsphinx"}, pooling.model_dump(mode="json"), {})


def publish(
    store: Folder, numbers: Sequence[int], *, shard_rows: int = 4, pooling: PoolingConfig | None = None
) -> Manifest:
    """Pool, store and publish utterances of these numbers: of every five, three to train, one each to the others."""
    pooling = pooling or PoolingConfig()
    splits: list[Split] = ["train", "train", "train", "valid", "test"]
    rows = []
    for number in numbers:
        table: pa.Table = row(WORDS, results(number), pooling)
        receipt = write_part(store, ROWS, [Outcome(f"key{number}", f"c{number}", "{}")], table)
        rows.append(
            DatasetRow(
                clip(number, splits[number % 5]),
                f"key{number}",
                Location(receipt.part, 0, False),
                {"words": f"words{number}"},
            )
        )
    config = DatasetConfig(shard_rows=shard_rows)
    about, versions = description(pooling), Versions(store, "fixture")
    manifest = write_version(store, versions.candidates, canonical_order(rows), about, config, lambda _: None)
    versions.publish(manifest.version)
    return manifest
