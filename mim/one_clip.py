"""One clip of a dataset as a model reads it, with its words in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from mimdata.mim.batch import Batch
from mimdata.mim.blocks import Selected, decode, values_of
from mimdata.mim.checkpoint import Description
from mimdata.mim.collate import collate
from mimdata.mim.dataset import Dataset
from mimdata.mim.memory import Memory
from mimdata.pipeline.errors import UsageError

WORDS = ("words", "word_start", "word_end", "word_status")  # word, start, end, status
ABOUT = ("text", "alignment")


@dataclass(frozen=True)
class OneClip:
    """A batch of one utterance; words: {word, start, end, status} of each step that the model reads, at most T.

    cut: words beyond the model's T steps, which it does not read. alignment: what placed the words.
    """

    batch: Batch
    words: tuple[Mapping[str, Any], ...]
    cut: int
    text: str
    alignment: str


def one_clip(dataset: Dataset, clip_id: str, description: Description) -> OneClip:
    """The clip as the checkpoint's model was fed in training. Raises UsageError for an unknown clip."""
    config = description.config
    tokens = description.content["text_encoder"] is not None
    selected = Selected(config.modalities, config.pooled, config.standardise, tokens)
    dims = dataset.dims(config.modalities, config.pooled)
    for shard in dataset.manifest.shards:
        file = dataset.folder / shard["file"]
        row = pc.index(pq.read_table(file, columns=["clip_id"]).column(0), clip_id).as_py()
        if row < 0:
            continue
        values = chain(*selected.values(dataset).values())
        table = pq.read_table(file, columns=[*selected.columns(dataset), *values, *WORDS, *ABOUT]).take([row])
        block = decode(table, dataset, selected, values_of(table, dataset, selected))
        lists = (table.column(name)[0].as_py() for name in WORDS)
        words = [
            dict(zip(("word", "start", "end", "status"), w, strict=True)) for w in zip(*lists, strict=True)
        ]
        return OneClip(
            collate([(block, 0)], dims, config.steps, fixed=False, tokens=tokens, memory=Memory(pin=False)),
            tuple(words[: config.steps]),
            max(0, len(words) - config.steps),
            *(table.column(name)[0].as_py() for name in ABOUT),
        )
    raise UsageError(
        f"no clip {clip_id!r} in {dataset.folder}: `mimdata status` and its shards name the clips"
    )
