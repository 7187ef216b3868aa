"""Utterances whose words have values already → rows in the store → a published dataset version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mimdata.pipeline.alignment.pool import pool_tokens
from mimdata.pipeline.config import DatasetConfig
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.pooling import ROWS
from mimdata.pipeline.dataset.rows import matrix_column
from mimdata.pipeline.dataset.schema import row_fields
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.dataset.writer import (
    DatasetRow,
    Description,
    canonical_order,
    inputs_digest,
    write_version,
)
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.bert import BertExtractor, Encoder, encoder_folder
from mimdata.pipeline.formats.word_values import WordValues
from mimdata.pipeline.records import Bool, Clip, Float32, Tokens
from mimdata.pipeline.store.fingerprint import canonical, digest, library_version, step_identity
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import Outcome, write_part
from mimdata.pipeline.store.snapshot import LAST, Entry, Snapshot, ledger_entry

VERSION = 2  # raised whenever the same file gives other rows
PART = 64  # utterances of one part


@dataclass(frozen=True)
class Source:
    """The file that utterances come from: its name, its sha256 and its form."""

    file: str
    sha256: str
    form: str


@dataclass(frozen=True)
class Imported:
    """What an import did; `masked` counts words with NaN or ±inf by modality, among all words of the file."""

    manifest: Manifest
    computed: int
    masked: Mapping[str, int]


def import_utterances(
    store: Folder, corpus: str, utterances: Sequence[WordValues], source: Source, text: BertExtractor
) -> Imported:
    """Publish a version of these utterances. `text` encodes the words where the file has no values of text.

    Every utterance has the same modalities. What the store has of this file is not computed again.
    """
    snapshot = Snapshot(store, corpus)
    if snapshot.last_run():
        raise MimdataError(
            f"the store has a corpus {corpus} that was extracted from recordings: give the import another name with --corpus"
        )
    encoded = text if "text" not in utterances[0].values else None
    identities = _identities(utterances, source, encoded)
    computed, index = _rows(store, utterances, identities, encoded)
    rows = []
    for u, identity in zip(utterances, identities, strict=True):
        location = index.find(digest(identity))
        if location is None:
            raise MimdataError(f"the row of {u.clip_id} is gone from {store.url}: import again")
        rows.append(DatasetRow(_clip(u, source), digest(identity), location, {}))
    ready = canonical_order(rows)
    manifest = _publish(store, corpus, ready, _description(corpus, utterances[0], source, encoded))
    snapshot.save_entries(Entry(row.clip, {ROWS: row.key}) for row in ready)
    snapshot.save_ledger({"import": ledger_entry(len(ready), len(ready), {})})
    store.write(LAST, f"{corpus}\n".encode())
    return Imported(manifest, computed, _masked(utterances))


def _identities(utterances: Sequence[WordValues], source: Source, text: BertExtractor | None) -> list[str]:
    step = {"step": f"import {source.form}", "version": VERSION, "text": text and step_identity(text)}
    return [
        canonical({"step": step, "file": source.sha256, "split": u.split, "row": i, "alignment": u.alignment})
        for i, u in enumerate(utterances)
    ]


def _rows(
    store: Folder, utterances: Sequence[WordValues], identities: Sequence[str], text: BertExtractor | None
) -> tuple[int, Index]:
    """Write the rows that the store lacks; how many, and the index that has all."""
    index = Index(store, ROWS)
    lacking = [i for i, identity in enumerate(identities) if index.find(digest(identity)) is None]
    encode = Encoder(encoder_folder(text.model), text.layers, "cpu") if text and lacking else None
    for first in range(0, len(lacking), PART):
        mine = lacking[first : first + PART]
        outcomes = [Outcome(digest(identities[i]), utterances[i].clip_id, identities[i]) for i in mine]
        table = pa.concat_tables([_row(utterances[i], encode) for i in mine])
        index.add(write_part(store, ROWS, outcomes, table))
    index.save()
    return len(lacking), index


def _clip(u: WordValues, source: Source) -> Clip:
    return Clip(
        clip_id=u.clip_id,
        video_id=u.video,
        segment=u.segment,
        source=source.file,
        start=u.start,
        end=u.end,
        text=" ".join(word for word in u.words if word),
        split=u.split,
        sentiment=u.sentiment,
        sentiments=u.sentiments,
    )


def _row(u: WordValues, encode: Callable[[Sequence[str]], Tokens] | None) -> pa.Table:
    """One utterance as a table of one row with the columns of `schema.row_fields`."""
    w = len(u.words)
    columns: dict[str, Any] = {
        "words": [list(u.words)],
        "word_type": [["word"] * w],
        "word_start": [[None] * w],  # nobody knows them
        "word_end": [[None] * w],
        "word_confidence": [[0.0] * w],
        "word_status": [["missing"] * w],
        "alignment": [u.alignment],
        "suspect": [[]],
    }
    layout: dict[str, tuple[int, Sequence[str]]] = {}
    tokens = u.tokens
    if encode is not None:
        made = encode(u.words)
        pooled = pool_tokens(made, w)
        tokens = made.ids, made.words
        columns |= _modality("text", pooled.statistics["mean"], pooled.valid, pooled.frames)
        layout["text"] = made.values.shape[1], ("mean",)
    for modality, given in u.values.items():
        values, valid = _sound(given)
        columns |= _modality(modality, values, valid, valid.astype(np.int32))
        layout[modality] = values.shape[1], ("mean",)
    if tokens is not None:
        columns |= {"token_ids": [tokens[0]], "token_words": [tokens[1]]}
    schema = pa.schema(row_fields(layout, tokens=tokens is not None))
    return pa.table(
        [
            value if isinstance(value := columns[f.name], pa.Array) else pa.array(value, f.type)
            for f in schema
        ],
        schema=schema,
    )


def _modality(name: str, values: Float32, valid: Bool, frames: Any) -> dict[str, Any]:
    return {
        f"{name}_mean": matrix_column(values),
        f"{name}_valid": [valid],
        f"{name}_frames": [frames],
        f"{name}_nearest": [np.zeros(len(valid), np.bool_)],
    }


def _sound(values: Float32) -> tuple[Float32, Bool]:
    """Values (w, d) and whether they are real (w,): not where one is NaN or ±inf, nor where all are zero."""
    valid: Bool = np.isfinite(values).all(axis=1) & (values != 0).any(axis=1)
    return np.where(valid[:, None], values, np.float32(0)), valid


def _masked(utterances: Sequence[WordValues]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for u in utterances:
        for modality, values in u.values.items():
            counts[modality] += int((~np.isfinite(values).all(axis=1)).sum())
    return {modality: n for modality, n in counts.items() if n}


def _description(corpus: str, some: WordValues, source: Source, text: BertExtractor | None) -> Description:
    modalities: dict[str, Any] = {}
    if text is not None:
        names = list(text.feature_names)
        modalities["text"] = _about(names, step_identity(text))
    for modality, values in some.values.items():
        names = [f"{modality}_{i}" for i in range(values.shape[1])]
        step = {"step": f"import {source.form}", "version": VERSION, "file": source.sha256}
        modalities[modality] = _about(names, step)
    return Description(
        corpus=corpus,
        modalities=modalities,
        aligner={"step": some.alignment},
        pooling={"statistics": ["mean"], "pauses": "drop"},
        libraries={name: library_version(name) for name in ("mimdata", "pyarrow", "numpy")},
    )


def _about(names: list[str], step: Mapping[str, Any]) -> dict[str, Any]:
    return {"dim": len(names), "feature_names": names, "statistics": ["mean"], "step": step}


def _publish(store: Folder, corpus: str, rows: Sequence[DatasetRow], about: Description) -> Manifest:
    """The version that these rows made before, or a new one; readers get it."""
    versions, config = Versions(store, corpus), DatasetConfig()
    manifest = versions.made_from(inputs_digest(rows, about, config))
    if manifest is None:
        versions.clear()
        manifest = write_version(store, versions.candidates, rows, about, config, lambda _: None)
    versions.publish(manifest.version)
    return manifest
