"""Word-aligned utterances in memory → a dataset version that `mimdata train` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.pipeline.dataset.manifest import FILE, FORMAT, Manifest, digest_of
from mimdata.pipeline.dataset.plain import shard_bytes
from mimdata.pipeline.dataset.schema import UTTERANCE_FIELDS, row_fields
from mimdata.pipeline.extractors.bert import MINILM, Encoder, encoder_folder

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """One utterance: its words, a label, values {modality: (w, d)}, and the word pieces of its text."""

    clip_id: str
    words: Sequence[str]
    sentiment: float
    values: Mapping[str, Float32]
    token_ids: Sequence[int] = field(default_factory=list)
    token_words: Sequence[int] = field(default_factory=list)

    @property
    def video(self) -> str:
        """The video that it was cut from."""
        return self.clip_id.partition("[")[0]


class TextEncoder:
    """Word states of a text encoder: the mean of each word's pieces, as the pipeline pools them."""

    def __init__(self, model: str = MINILM) -> None:
        self._encode = Encoder(encoder_folder(model), (-1,), "cpu")

    def utterance(
        self, clip_id: str, words: Sequence[str], sentiment: float, values: Mapping[str, Float32]
    ) -> Utterance:
        """An utterance with text beside its other values."""
        tokens = self._encode(words)
        states = np.zeros((len(words), tokens.values.shape[1]), np.float32)
        for i in range(len(words)):
            mine = tokens.words == i
            if mine.any():  # a tokenizer may drop a word altogether
                states[i] = tokens.values[mine].mean(axis=0)
        both = {"text": states, **values}
        return Utterance(clip_id, words, sentiment, both, tokens.ids.tolist(), tokens.words.tolist())


def write(folder: Path, corpus: str, splits: Mapping[str, Sequence[Utterance]]) -> Path:
    """Write a version with one shard a split; a value of zeros alone counts as absent. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    some = next(u for mine in splits.values() for u in mine)
    dims = {m: v.shape[1] for m, v in some.values.items()}
    modalities: dict[str, tuple[int, Sequence[str]]] = {m: (d, ("mean",)) for m, d in dims.items()}
    schema = pa.schema([*UTTERANCE_FIELDS, *row_fields(modalities, tokens=True)])
    shards = [_shard(folder, split, mine, schema) for split, mine in splits.items() if mine]
    content: dict[str, Any] = {
        "format": FORMAT,
        "corpus": corpus,
        "rows": sum(len(mine) for mine in splits.values()),
        "splits": {split: len(mine) for split, mine in splits.items()},
        "shards": shards,
        "modalities": {
            m: {"dim": d, "feature_names": [f"{m}_{i}" for i in range(d)], "statistics": ["mean"], "step": {}}
            for m, d in dims.items()
        },
        "emotions": [],
        "aligner": {"step": "given"},
        "pooling": {"weights": "overlap", "statistics": ["mean"], "pauses": "drop"},
        "statistics": {f"{m}_mean": _moments(splits["train"], m) for m in dims},
    }
    sha256 = digest_of(content)
    manifest = Manifest({"version": sha256[:12], "digest": sha256, "created": "", **content})
    (folder / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return folder


def _valid(values: Float32) -> npt.NDArray[np.bool_]:
    return np.abs(values).sum(axis=1) > 0


def _moments(utterances: Sequence[Utterance], modality: str) -> dict[str, Any]:
    values = np.concatenate([u.values[modality][_valid(u.values[modality])] for u in utterances]).astype(
        float
    )
    return {"mean": values.mean(axis=0).tolist(), "std": values.std(axis=0).tolist(), "count": len(values)}


def _shard(folder: Path, split: str, utterances: Sequence[Utterance], schema: pa.Schema) -> dict[str, Any]:
    file = folder / f"{split}-00000.parquet"
    rows = [_row(split, u) for u in utterances]
    content = shard_bytes(pa.Table.from_pylist(rows, schema))
    file.write_bytes(content)
    return {
        "file": file.name,
        "split": split,
        "rows": len(rows),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _row(split: str, u: Utterance) -> dict[str, Any]:
    w = len(u.words)
    columns: dict[str, Any] = {
        "clip_id": u.clip_id,
        "video_id": u.video,
        "segment": int(u.clip_id.partition("[")[2].rstrip("]") or 0),
        "split": split,
        "language": "en",
        "source": u.video,
        "text": " ".join(u.words),
        "sentiment": u.sentiment,
        "words": list(u.words),
        "word_type": ["word"] * w,
        # The published features carry no times of their words.
        "word_start": np.arange(w, dtype=np.float32),
        "word_end": np.arange(1, w + 1, dtype=np.float32),
        "word_confidence": np.zeros(w, np.float32),
        "word_status": ["missing"] * w,
        "alignment": "published",
        "suspect": [],
        "token_ids": u.token_ids,
        "token_words": u.token_words,
    }
    for m, values in u.values.items():
        columns |= {
            f"{m}_mean": list(values),
            f"{m}_valid": _valid(values),
            f"{m}_frames": np.ones(w, np.int32),
            f"{m}_nearest": [False] * w,
        }
    return columns
