"""Looking into a store: what it holds, one clip of it, and why a clip was or will be recomputed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mimdata.pipeline.dataset.manifest import LATEST
from mimdata.pipeline.dataset.pooling import TRACKS, WORDS
from mimdata.pipeline.dataset.versions import Versions, dataset_corpora
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.plan import plan
from mimdata.pipeline.records import Tokens, Track, Words
from mimdata.pipeline.run import Run
from mimdata.pipeline.steps import Step
from mimdata.pipeline.store.codec import decode
from mimdata.pipeline.store.fingerprint import differences
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index, count_done
from mimdata.pipeline.store.parquet import opened
from mimdata.pipeline.store.parts import Failure, failure_at, read_rows
from mimdata.pipeline.store.snapshot import Entry, Snapshot, corpora


def status(store: Folder) -> dict[str, Any]:
    """The JSON that `mimdata status` prints; see README for its form."""
    return {
        "corpora": {name: _corpus_status(store, name) for name in corpora(store)},
        "datasets": [
            version.to_json() for name in dataset_corpora(store) for version in Versions(store, name).all()
        ],
    }


def _corpus_status(store: Folder, name: str) -> dict[str, Any]:
    snapshot = Snapshot(store, name)
    clips, keys = snapshot.keys()
    done = {kind: count_done(store, kind, mine) for kind, mine in keys.items()}
    return {
        "clips": clips,
        "tracks": {kind.removeprefix(TRACKS): n for kind, n in done.items() if kind.startswith(TRACKS)},
        "words": done.get(WORDS, 0),
        "rows": done.get("rows", 0),
        "failures": snapshot.failed(),
        "ledger": snapshot.ledger(),
    }


@dataclass(frozen=True)
class Found:
    """A clip, the corpus that has it and its entry there."""

    corpus: str
    entry: Entry


def find_clip(store: Folder, clip_id: str, corpus: str | None) -> Found:
    """Look for a clip in one corpus, or in all of the store. Raises MimdataError."""
    names = [corpus] if corpus else corpora(store)
    for name in names:
        entry = Snapshot(store, name).entries().get(clip_id)
        if entry is not None:
            return Found(name, entry)
    where = f"corpus {corpus}" if corpus else f"any corpus of {store.url}"
    example = next((key for name in names for key in Snapshot(store, name).entries()), None)
    hint = f"clip ids look like {example}" if example else "run `mimdata extract` first"
    raise MimdataError(f"no clip {clip_id!r} in {where}: {hint}")


def inspect(store: Folder, found: Found) -> dict[str, Any]:
    """The JSON that `mimdata inspect` prints: the newest dataset's row, and the tracks behind it."""
    clip, keys = found.entry.clip, found.entry.keys
    results = {kind: _stored(store, kind, key) for kind, key in keys.items() if kind != "rows"}
    place = _place(store, found)
    row = place.pop("values", None) or _unaligned(results.get(WORDS))
    return {
        "clip_id": clip.clip_id,
        "corpus": found.corpus,
        "text": clip.text,
        "split": row.pop("split", clip.split),
        "sentiment": clip.sentiment,
        "emotions": dict(clip.emotions),
        **({"sentiments": dict(clip.sentiments)} if clip.sentiments else {}),
        **row,
        "modalities": {
            kind.removeprefix(TRACKS): _modality(*result)
            for kind, result in results.items()
            if kind.startswith(TRACKS) and result
        },
        **place,
    }


Stored = tuple[Mapping[str, Any], Track | Tokens | Words | Failure] | None


def _stored(store: Folder, kind: str, key: str) -> Stored:
    """The identity and the result under a key; None if the store has neither."""
    location = Index(store, kind).find(key)
    if location is None:
        return None
    table = read_rows(store, kind, location.part, [location.row])
    identity = json.loads(table.column("identity")[0].as_py())
    if location.failed:
        return identity, failure_at(store, kind, location)
    return identity, decode(table)[0]


def _modality(identity: Mapping[str, Any], result: Track | Tokens | Words | Failure) -> dict[str, Any]:
    source = identity["step"]["step"]
    if isinstance(result, Failure):
        return {
            "dim": 0,
            "frames": 0,
            "valid": 0,
            "source": source,
            "absent": f"{result.cause}: {result.message}",
        }
    assert not isinstance(result, Words)
    frames, dim = result.values.shape
    valid = frames if isinstance(result, Tokens) else int(result.valid.sum())
    shown = {"dim": dim, "frames": frames, "valid": valid, "source": source}
    return shown | ({"absent": result.absent} if isinstance(result, Track) and result.absent else {})


def _unaligned(words: Stored) -> dict[str, Any]:
    """What is known of the words before a dataset holds them."""
    if words is None or not isinstance(words[1], Words):
        return {
            "words": [],
            "intervals": [],
            "confidence": [],
            "status": [],
            "alignment": None,
            "suspect": [],
        }
    found = words[1]
    return {
        "words": list(found.words),
        "intervals": found.intervals.tolist(),
        "confidence": found.confidence.tolist(),
        "status": found.status.tolist(),
        "alignment": found.source,
        "suspect": list(found.suspect),
    }


def _place(store: Folder, found: Found) -> dict[str, Any]:
    """Shard and row of a clip in the newest version, and what stands there."""
    versions = Versions(store, found.corpus)
    nowhere: dict[str, Any] = {"shard": None, "row": None}
    if versions.latest() is None:
        return nowhere
    manifest, folder = versions.find(LATEST)[1], versions.published
    for shard in manifest.shards:
        name = f"{manifest.version}/{shard['file']}"
        with folder.filesystem.open(folder.path(name), "rb") as file:
            parquet = opened(file)
            ids = parquet.read(columns=["clip_id"], use_threads=False).column(0).to_pylist()
            if found.entry.clip.clip_id in ids:
                row = ids.index(found.entry.clip.clip_id)
                return {"shard": name, "row": row, "values": _row(parquet, row)}
    return nowhere


def _row(parquet: pq.ParquetFile, row: int) -> dict[str, Any]:
    columns = [
        "split", "words", "word_type", "word_start", "word_end", "word_confidence", "word_status", "alignment", "suspect",
    ]  # fmt: skip
    table: pa.Table = parquet.read(columns=columns, use_threads=False).slice(row, 1)
    values: dict[str, Any] = table.to_pylist()[0]
    return {
        "split": values["split"],
        "words": values["words"],
        "intervals": [list(pair) for pair in zip(values["word_start"], values["word_end"], strict=True)],
        "confidence": values["word_confidence"],
        "status": values["word_status"],
        "type": values["word_type"],
        "alignment": values["alignment"],
        "suspect": values["suspect"],
    }


def why(run: Run, steps: Mapping[str, Step]) -> list[dict[str, Any]]:
    """For each kind of result of the chosen clip: its state, and where its key differs from the one before."""
    entries = run.snapshot.entries()
    lines = []
    for item in plan(run.listing.chosen, run.media_root, steps, run.sources):
        entry = entries.get(item.clip.clip_id, Entry(item.clip))
        for kind, want in item.wants.items():
            if isinstance(want, Failure):
                state = {"state": "cannot be computed", "changes": [want.message]}
            else:
                state = _explain(run.store, kind, entry, want.key, json.loads(want.identity))
            lines.append({"clip_id": item.clip.clip_id, "stage": kind.removeprefix(TRACKS), **state})
    return lines


def _explain(store: Folder, kind: str, entry: Entry, key: str, identity: Mapping[str, Any]) -> dict[str, Any]:
    last = entry.keys.get(kind)
    if Index(store, kind).find(key) is None:
        before = _stored(store, kind, last) if last else None
        if before is None:
            return {"state": "never computed", "changes": []}
        return {"state": "will be recomputed", "changes": differences(before[0], identity)}
    previous = last if last and last != key else entry.previous.get(kind)
    before = _stored(store, kind, previous) if previous else None
    if before is None:
        return {"state": "stored", "changes": []}
    return {"state": "stored; replaced an earlier result", "changes": differences(before[0], identity)}
