"""The form of MMSA: folds of arrays {raw_text, text_bert (n, 3, T), text (n, T, d), audio, vision, id, regression_labels}.

In its aligned files a row is a word piece of `raw_text`, between [CLS] and [SEP] and filled up at the end. A word's values
are the mean of its pieces', and are written to each of them. In its unaligned files `audio` and `vision` are frames of their
own rates without times, `audio_lengths` and `vision_lengths` of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mimdata.pipeline.corpora.chinese import spaced
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.bert import MINILM, encoder_folder
from mimdata.pipeline.formats.spread import SPREAD, spread, without_padding
from mimdata.pipeline.formats.word_values import (
    FOLDS,
    Reading,
    WordValues,
    label,
    matrix,
    place_of,
    unaligned,
)
from mimdata.pipeline.records import Float32, Int32, Split

NAME = "mmsa"
MODALITIES = ("text", "audio", "vision")
SINGLE = {
    m: f"regression_labels_{m[0].upper()}" for m in MODALITIES
}  # of raters who had one modality: CH-SIMS
SPECIAL = 2  # [CLS] and [SEP]
CLASSES = ("Negative", "Neutral", "Positive")  # 0, 1, 2 of classification_labels


def is_fold(fold: Any) -> bool:
    """Whether a fold has arrays of these names."""
    return isinstance(fold, Mapping) and {"raw_text", "audio", "vision", "id", "regression_labels"} <= set(
        fold
    )


def read(fold: Mapping[str, Any], split: Split, reading: Reading) -> Iterator[WordValues]:
    """The utterances of a fold, word by word.

    Raises MimdataError for word pieces that are not those of the text, and for an unaligned file unless its frames are
    to be shared out.
    """
    modalities = [m for m in MODALITIES if m in fold]
    if "text_bert" not in fold:
        raise MimdataError(f"{split} has no text_bert: without word pieces no row belongs to a word")
    shapes = {m: np.shape(fold[m]) for m in (*modalities, "text_bert")}
    labels = ("regression_labels", *(name for name in SINGLE.values() if name in fold))
    counts = {name: len(fold[name]) for name in (*shapes, "raw_text", "id", *labels)}
    if len(set(counts.values())) != 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise MimdataError(f"{split} has {counts} utterances, in arrays of {shapes}")
    pieces = shapes["text_bert"][2]
    framed = {m for m in modalities if shapes[m][1] != pieces or _counts_otherwise(fold, m)}
    if "text" in framed or (framed and not reading.spread):
        raise unaligned(split, shapes)
    for i in range(len(fold["id"])):
        yield _utterance(fold, modalities, framed, i, split, reading)


def _counts_otherwise(fold: Mapping[str, Any], modality: str) -> bool:
    """Whether a modality's lengths are not those of the word pieces, special ones counted or not: arrays of one size may
    hold frames."""
    lengths = fold.get(f"{modality}_lengths")
    if lengths is None:
        return False
    pieces = (np.asarray(fold["text_bert"])[:, 1] > 0).sum(axis=1)
    return bool((np.abs(np.asarray(lengths).ravel() - pieces) > SPECIAL).any())


def _utterance(
    fold: Mapping[str, Any],
    modalities: Sequence[str],
    framed: set[str],
    i: int,
    split: Split,
    reading: Reading,
) -> WordValues:
    name = str(fold["id"][i])
    pieces = matrix(fold["text_bert"][i], f"the word pieces of {name}")
    length = int((pieces[1] > 0).sum())
    ids: Int32 = pieces[0, :length].astype(np.int32)
    words, owners = _words(str(fold["raw_text"][i]), ids, name, reading.text_model)
    values: dict[str, Float32] = {}
    for m in modalities:
        rows = matrix(fold[m][i], f"the values of {m} of {name}")
        if m in framed:
            lengths = fold.get(f"{m}_lengths")
            values[m] = spread(without_padding(rows, None if lengths is None else int(lengths[i])), words)
        else:
            values[m] = _mean(rows[:length], owners, len(words))
    video, segment = place_of(name)
    sentiment = label(fold["regression_labels"][i], name)
    how = SPREAD if framed else "published"
    single = {m: label(fold[column][i], name) for m, column in SINGLE.items() if column in fold}
    sentiments = {m: value for m, value in single.items() if value is not None}
    return WordValues(
        video, segment, split, sentiment, words, values, (ids, owners), sentiments=sentiments, alignment=how
    )


def _words(text: str, ids: Int32, name: str, model: str) -> tuple[tuple[str, ...], Int32]:
    """The words that the pieces (t,) are of, and the word of each piece; a text may be cut off at the end."""
    spoken = spaced(text).split()  # a Chinese character is a word
    encoded = _tokenizer(encoder_folder(model))(
        spoken, is_split_into_words=True, truncation=False, padding=False
    )
    expected, owners = encoded["input_ids"], encoded.word_ids()
    inner = len(ids) - 1  # a text that was cut off has its [SEP] earlier
    if inner < 1 or list(expected[:inner]) != ids[:inner].tolist() or ids[-1] != expected[-1]:
        raise MimdataError(
            f"the word pieces of {name} are not those of its text in the vocabulary of {model}: give the model that they "
            "are of with --text-model (bert-base-chinese for CH-SIMS)"
        )
    found = [-1 if owner is None else int(owner) for owner in owners[:inner]] + [-1]
    return tuple(spoken[: max(found) + 1]), np.array(found, np.int32)


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)


def _mean(values: Float32, owners: Int32, n: int) -> Float32:
    """The mean of each word's rows (n, d); rows of zeros are absent, one that is not finite spoils its word."""
    sums = np.zeros((n, values.shape[1]))
    counts = np.zeros(n)
    there = (owners >= 0) & (values != 0).any(axis=1)
    np.add.at(sums, owners[there], values[there])
    np.add.at(counts, owners[there], 1)
    found: Float32 = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return found


def write(utterances: Iterable[WordValues]) -> Mapping[str, Any]:
    """The document, each fold as long as the longest utterance of all: rows of [CLS], of each word's pieces, of [SEP].

    Where utterances have frames, these are the rows of their modalities, as in unaligned files. Pieces are the utterance's own, else BERT's English ones. Raises MimdataError for words that have none.
    """
    found = [(u, *_pieces(u)) for u in utterances if u.split is not None]
    pieces = max(len(ids) for _, ids, _ in found)
    longest = {
        m: max((len(u.frames[m]) for u, _, _ in found if m in u.frames), default=0) or pieces
        for m in MODALITIES
    }
    longest["text"] = pieces
    return {
        names[0]: _fold([one for one in found if one[0].split == split], found[0][0], longest)
        for split, names in FOLDS.items()
    }


def _pieces(u: WordValues) -> tuple[Int32, Int32]:
    """The ids of the pieces (t,) of an utterance's words, and the word of each, −1 for the special ones."""
    ids, owners = u.tokens or _encoded(u.words)
    for i in sorted(set(range(len(u.words))) - set(owners.tolist())):
        raise MimdataError(
            f"{u.clip_id} has the word {u.words[i]!r}, which has no word piece: the form {NAME} is made of them"
        )
    return ids, owners


def _encoded(words: Sequence[str]) -> tuple[Int32, Int32]:
    encoded = _tokenizer(encoder_folder(MINILM))(
        list(words), is_split_into_words=True, truncation=False, padding=False
    )
    owners = [-1 if owner is None else owner for owner in encoded.word_ids()]
    return np.array(encoded["input_ids"], np.int32), np.array(owners, np.int32)


def _fold(
    found: Sequence[tuple[WordValues, Int32, Int32]], some: WordValues, longest: Mapping[str, int]
) -> dict[str, Any]:
    bert = np.zeros((len(found), 3, longest["text"]), np.float32)
    fold: dict[str, Any] = {
        m: np.zeros((len(found), longest[m], some.frames.get(m, some.values[m]).shape[1]), np.float32)
        for m in MODALITIES
    }
    for i, (u, ids, owners) in enumerate(found):
        bert[i, 0, : len(ids)], bert[i, 1, : len(ids)] = ids, 1
        for m in MODALITIES:
            if m in u.frames:
                fold[m][i, : len(u.frames[m])] = u.frames[m]
            else:
                fold[m][i, np.flatnonzero(owners >= 0)] = u.values[m][owners[owners >= 0]]
    lengths = {m: [len(u.frames.get(m, ids)) for u, ids, _ in found] for m in MODALITIES}
    labels = np.array([np.nan if u.sentiment is None else u.sentiment for u, _, _ in found], np.float32)
    single = {
        column: np.array([u.sentiments.get(m, np.nan) for u, _, _ in found], np.float32)
        for m, column in SINGLE.items()
        if any(m in u.sentiments for u, _, _ in found)
    }
    return fold | {
        **single,
        "raw_text": np.array([" ".join(u.words) for u, _, _ in found], object),
        "text_bert": bert,
        "id": np.array([f"{u.video}$_${u.segment}" for u, _, _ in found], object),
        "regression_labels": labels,
        "classification_labels": np.sign(labels) + 1,
        "annotations": np.array(
            ["" if np.isnan(v) else CLASSES[int(np.sign(v)) + 1] for v in labels], object
        ),
        "audio_lengths": lengths["audio"],
        "vision_lengths": lengths["vision"],
    }
