"""Utterances as a few flat arrays: what shards are decoded into, and what batches are cut from. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.mim.dataset import Dataset

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)
STRETCH = 2**15  # numbers that are standardised at a time
FLAT = 1e-6  # a feature that deviates less than this in training is constant: it is centred, not scaled


@dataclass(frozen=True)
class Selected:
    """What of a dataset is read: modalities, their pooled statistics, whether standardised, whether word pieces."""

    modalities: tuple[str, ...]
    pooled: tuple[str, ...]
    standardise: bool
    tokens: bool

    def columns(self, dataset: Dataset) -> list[str]:
        """The columns to read beside the values."""
        names = ["clip_id", "sentiment", *(f"emotion_{name}" for name in dataset.emotions)]
        names += [f"{m}_valid" for m in self.modalities]
        return names + (["word_type", "token_ids", "token_words"] if self.tokens else [])

    def values(self, dataset: Dataset) -> dict[str, list[str]]:
        """The columns of each modality's values, which stand side by side."""
        return {m: [f"{m}_{s}" for s in dataset.pooled(m, self.pooled)] for m in self.modalities}


@dataclass(frozen=True)
class Scale:
    """What standardises the d numbers of a word: (x − mean) · factor, each repeated for r words, (r · d,)."""

    mean: Float32
    factor: Float32

    def __call__(self, numbers: Float32) -> None:
        """Standardise (n · d,) numbers where they are, as many at a time as a processor's cache holds."""
        for at in range(0, len(numbers), len(self.mean)):
            part = numbers[at : at + len(self.mean)]
            np.subtract(part, self.mean[: len(part)], out=part)
            np.multiply(part, self.factor[: len(part)], out=part)


def scales(dataset: Dataset, selected: Selected) -> dict[str, Scale]:
    """The scale of each column of values by the train split; none where features stay as they are.

    In float32, which the values are: the mean's own rounding is no larger than theirs. Numbers that are constant in
    training are centred.
    """
    found = {}
    for name in chain(*selected.values(dataset).values()) if selected.standardise else ():
        about = dataset.statistics(name)
        mean, std = (np.asarray(about[k], np.float64) for k in ("mean", "std"))
        factor = 1 / np.where(std > FLAT, std, 1.0)
        words = max(1, STRETCH // len(mean))
        found[name] = Scale(*(np.tile(numbers.astype(np.float32), words) for numbers in (mean, factor)))
    return found


@dataclass(frozen=True)
class Block:
    """n utterances of W words in all, one after another.

    first (n + 1,): where each one's words begin. values {modality: (W, d)}, zero where not valid {modality: (W,)}.
    sentiment (n,) and emotions (n, E): NaN where unlabelled. token_first (n + 1,): where each one's word pieces
    begin; token_ids and token_steps (K,): their ids, and the word that each belongs to, −1 for special tokens.
    """

    clip_ids: pa.Array
    first: Int64
    values: Mapping[str, Float32]
    valid: Mapping[str, Bool]
    sentiment: Float32
    emotions: Float32
    token_first: Int64
    token_ids: Int32
    token_steps: Int32

    def __len__(self) -> int:
        return len(self.sentiment)

    @property
    def lengths(self) -> Int64:
        """Words of each utterance, (n,)."""
        return np.diff(self.first)


Place = tuple[Block, int]  # an utterance: its block, and its number there


def joined(places: Sequence[Place]) -> tuple[Block, Int64]:
    """One block that holds some utterances, and their numbers in it.

    The block itself where all lie in one, else a new one of just these utterances, one after another.
    """
    block = places[0][0]
    if all(other is block for other, _ in places):
        return block, np.array([i for _, i in places], np.int64)
    words, first = _spans((b.first, i) for b, i in places)
    pieces, token_first = _spans((b.token_first, i) for b, i in places)
    blocks = [b for b, _ in places]
    made = Block(
        clip_ids=pa.array([b.clip_ids[i].as_py() for b, i in places], pa.string()),
        first=first,
        values={m: _cut([b.values[m] for b in blocks], words) for m in block.values},
        valid={m: _cut([b.valid[m] for b in blocks], words) for m in block.valid},
        sentiment=np.array([b.sentiment[i] for b, i in places], np.float32),
        emotions=np.stack([b.emotions[i] for b, i in places]),
        token_first=token_first,
        token_ids=_cut([b.token_ids for b in blocks], pieces),
        token_steps=_cut([b.token_steps for b in blocks], pieces),
    )
    return made, np.arange(len(places))


def _spans(runs: Iterable[tuple[Int64, int]]) -> tuple[list[slice], Int64]:
    """Where the i-th run of each lies by its `first`, and where each begins once they lie one after another."""
    spans = [slice(*first[i : i + 2].tolist()) for first, i in runs]
    return spans, np.cumsum([0, *[span.stop - span.start for span in spans]], dtype=np.int64)


def _cut(arrays: Sequence[npt.NDArray[T]], spans: Sequence[slice]) -> npt.NDArray[T]:
    return np.concatenate([array[span] for array, span in zip(arrays, spans, strict=True)])


def together(blocks: Sequence[Block], values: Mapping[str, Float32]) -> Block:
    """All utterances of some blocks as one, where their values lie in `values` already, one after another."""
    return Block(
        clip_ids=pa.concat_arrays([b.clip_ids for b in blocks]),
        first=begins(np.concatenate([b.lengths for b in blocks])),
        values=values,
        valid={m: np.concatenate([b.valid[m] for b in blocks]) for m in values},
        sentiment=np.concatenate([b.sentiment for b in blocks]),
        emotions=np.concatenate([b.emotions for b in blocks]),
        token_first=begins(np.concatenate([np.diff(b.token_first) for b in blocks])),
        token_ids=np.concatenate([b.token_ids for b in blocks]),
        token_steps=np.concatenate([b.token_steps for b in blocks]),
    )


def decode(table: pa.Table, dataset: Dataset, selected: Selected, values: Mapping[str, Float32]) -> Block:
    """The utterances of a table that holds the selected columns, and of `values` {modality: (W, d)}.

    Values become zero where they are not valid. Raises ValueError where there are not as many as words.
    """
    table = table.combine_chunks()
    valid = {m: _flat(table, f"{m}_valid").astype(np.bool_) for m in selected.modalities}
    for m, numbers in values.items():
        if len(numbers) != len(valid[m]):
            raise ValueError(f"{m}_valid has {len(valid[m])} words where others have {len(numbers)}")
        if not valid[m].all():
            numbers[~valid[m]] = 0
    emotions = np.zeros((len(table), len(dataset.emotions)), np.float32)
    for i, name in enumerate(dataset.emotions):
        emotions[:, i] = table.column(f"emotion_{name}").to_numpy()
    first = _offsets(table, f"{selected.modalities[0]}_valid")
    ids, steps, token_first = _tokens(table, first) if selected.tokens else _no_tokens(len(table))
    return Block(
        clip_ids=table.column("clip_id").combine_chunks(),
        first=first,
        values=values,
        valid=valid,
        sentiment=table.column("sentiment").to_numpy().astype(np.float32),
        emotions=emotions,
        token_first=token_first,
        token_ids=ids,
        token_steps=steps,
    )


def values_of(table: pa.Table, dataset: Dataset, selected: Selected) -> dict[str, Float32]:
    """{modality: (W, d)}: the values of a table that holds their columns."""
    found, scale = {}, scales(dataset, selected)
    for m, names in selected.values(dataset).items():
        parts = [_flat(table, name).copy() for name in names]
        for name, part in zip(names, parts, strict=True):
            if name in scale:
                scale[name](part)
        dim = int(dataset.manifest.modalities[m]["dim"])
        found[m] = np.concatenate([part.reshape(-1, dim) for part in parts], axis=1)
    return found


def _tokens(table: pa.Table, first: Int64) -> tuple[Int32, Int32, Int64]:
    """Ids, time steps and offsets of the word pieces. Words are numbered without the pauses between them."""
    is_word = _flat(table, "word_type") == "word"
    ids = _flat(table, "token_ids").astype(np.int32)
    words = _flat(table, "token_words").astype(np.int64)
    begins = _offsets(table, "token_ids")
    # The place of every word among all steps; a row's k-th word is the (words before the row + k)-th of all.
    places = np.append(np.flatnonzero(is_word), 0)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_word)])[first[:-1]]
    pieces = np.diff(begins)
    steps = places[np.repeat(before, pieces) + words] - np.repeat(first[:-1], pieces)
    return ids, np.where(words < 0, -1, steps).astype(np.int32), begins


def _no_tokens(rows: int) -> tuple[Int32, Int32, Int64]:
    return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(rows + 1, np.int64)


def _flat(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """All numbers of a column of (nested) lists, one after another; no copy where Arrow has them so."""
    array = table.column(name).combine_chunks()
    while pa.types.is_nested(array.type):
        array = array.flatten()
    flat: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return flat


def _offsets(table: pa.Table, name: str) -> Int64:
    """(rows + 1,) where each row's list begins in `_flat`."""
    return begins(table.column(name).combine_chunks().value_lengths().to_numpy(zero_copy_only=False))


def begins(lengths: npt.NDArray[Any]) -> Int64:
    """Where each of some runs begins when they lie one after another, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
