"""A dataset version as a pickle in the forms that published code reads: values of words, zero where masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from pickle import dumps
from typing import get_args

import numpy as np
import pyarrow as pa

from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.statistics import matrix
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats import misa
from mimdata.pipeline.formats.pickles import FORMS
from mimdata.pipeline.formats.spread import spread
from mimdata.pipeline.formats.word_values import WordValues
from mimdata.pipeline.records import SINGLE, Float32, Split, Tokens
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import opened
from mimdata.pipeline.tracks import tracks_of

PROTOCOL = 4  # Python 3.4 and newer
NEEDED = {
    "mag-bert": ("audio", "vision"),
    "misa": ("audio", "vision"),
    "mmsa": ("text", "audio", "vision"),
    "mult": ("text", "audio", "vision"),
}


@dataclass(frozen=True)
class Frames:
    """Where the frames of a version are, to be written unaligned; of a clip that has more, `most` means over equal parts."""

    store: Folder
    most: int


def export_pickle(
    version: Folder, manifest: Manifest, form: str, output: Path, frames: Frames | None = None
) -> tuple[int, int]:
    """Write the file, or MISA's folder; how many utterances are in it, and how many have no split and are not.

    Statistics of a modality stand side by side; pauses are left out. With `frames` voice and face are written as they were
    before they were pooled into words. Raises MimdataError where the form needs a modality that the version lacks, or the
    store has no frames.
    """
    missing = [m for m in NEEDED[form] if m not in manifest.modalities]
    if missing:
        raise MimdataError(f"the form {form} needs {', '.join(missing)}: {manifest.version} has none")
    utterances = list(_utterances(version, manifest, NEEDED[form]))
    kept = [u for u in utterances if u.split is not None]
    if not kept:
        raise MimdataError(
            f"no utterance of {manifest.version} has a split: the form {form} is made of folds"
        )
    if frames is not None:
        kept = list(_with_frames(kept, version, frames))
    writer = next(known for known in FORMS if form == known.NAME)
    document = writer.write(kept)
    if writer is misa:
        _write_folder(output, {f"{fold}.pkl": dumps(rows, PROTOCOL) for fold, rows in document.items()}, kept)
    else:
        _write(output, dumps(document, PROTOCOL))
    return len(kept), len(utterances) - len(kept)


def _with_frames(utterances: Sequence[WordValues], version: Folder, frames: Frames) -> Iterator[WordValues]:
    tracks = {m: tracks_of(frames.store, version, m) for m in ("text", "audio", "vision")}
    for u in utterances:
        rows: dict[str, Float32] = {}
        for modality, mine in tracks.items():
            track = mine[u.clip_id]
            if isinstance(track, Tokens):
                rows[modality] = track.values
            elif modality != "text":
                many = len(track.values) > frames.most
                rows[modality] = spread(track.values, [""] * frames.most) if many else track.values
        yield replace(u, frames=rows)


def _write_folder(folder: Path, folds: Mapping[str, bytes], utterances: Sequence[WordValues]) -> None:
    import torch

    mapping = BytesIO()
    torch.save((None, misa.vocabulary(utterances)), mapping)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MimdataError(f"cannot make the folder {folder}: {error.strerror}") from error
    for name, content in {**folds, misa.MAPPING: mapping.getvalue()}.items():
        _write(folder / name, content)


def _write(output: Path, content: bytes) -> None:
    """Write a file whole."""
    beside = output.with_name(f".{output.name}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(output)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise MimdataError(f"cannot write {output}: {error.strerror}") from error


def _utterances(version: Folder, manifest: Manifest, modalities: tuple[str, ...]) -> Iterator[WordValues]:
    for shard in manifest.shards:
        with version.filesystem.open(version.path(shard["file"]), "rb") as source:
            table = opened(source).read(use_threads=False)
        for i in range(table.num_rows):
            yield _utterance(table.slice(i, 1), manifest, modalities)


def _utterance(row: pa.Table, manifest: Manifest, modalities: tuple[str, ...]) -> WordValues:
    """One row as values of its words."""
    names = ["video_id", "segment", "split", "sentiment", "words", "word_type"]
    pieces = [name for name in ("token_ids", "token_words") if name in row.column_names]
    single = {m: name for m, name in SINGLE.items() if name in row.column_names}
    about = row.select([*names, *single.values(), *pieces]).to_pylist()[0]
    spoken = np.array([kind == "word" for kind in about["word_type"]], np.bool_)
    values = {
        m: np.concatenate(
            [
                matrix(row.column(f"{m}_{s}"), manifest.modalities[m]["dim"])[spoken]
                for s in manifest.modalities[m]["statistics"]
            ],
            axis=1,
        ).astype(np.float32)
        for m in modalities
    }
    words = tuple(word for word, yes in zip(about["words"], spoken, strict=True) if yes)
    split: Split | None = next((s for s in get_args(Split) if s == about["split"]), None)
    ids, owners = (np.array(about[name], np.int32) for name in pieces) if pieces else (None, None)
    tokens = None if ids is None or owners is None else (ids, owners)
    sentiments = {m: value for m, name in single.items() if (value := about[name]) is not None}
    return WordValues(
        about["video_id"],
        about["segment"],
        split,
        about["sentiment"],
        words,
        values,
        tokens,
        sentiments=sentiments,
    )
