"""The form of MMSA: folds of arrays {raw_text, text_bert (n, 3, T), text (n, T, d), audio, vision, id, regression_labels}.

In its aligned files a row is a word piece of `raw_text`, between [CLS] and [SEP] and filled up at the end. A word's values
are the mean of its pieces', and are written to each of them. Its unaligned files hold frames without times, which cannot be aligned, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.bert import MINILM, encoder_folder
from mimdata.pipeline.formats.word_values import FOLDS, WordValues, label, matrix, place_of
from mimdata.pipeline.records import Float32, Int32, Split

NAME = "mmsa"
MODALITIES = ("text", "audio", "vision")
CLASSES = ("Negative", "Neutral", "Positive")  # 0, 1, 2 of classification_labels


def is_fold(fold: Any) -> bool:
    """Whether a fold has arrays of these names."""
    return isinstance(fold, Mapping) and {"raw_text", "audio", "vision", "id", "regression_labels"} <= set(
        fold
    )


def read(fold: Mapping[str, Any], split: Split) -> Iterator[WordValues]:
    """The utterances of a fold, word by word. Raises MimdataError for an unaligned file, and for other pieces."""
    modalities = [m for m in MODALITIES if m in fold]
    shapes = {m: np.shape(fold[m]) for m in (*modalities, *(["text_bert"] if "text_bert" in fold else []))}
    if len({s[-1] if m == "text_bert" else s[1] for m, s in shapes.items()}) != 1:
        raise MimdataError(
            f"{split} has arrays of {shapes}: not aligned, and without times they cannot be; give the aligned file"
        )
    if "text_bert" not in fold:
        raise MimdataError(f"{split} has no text_bert: without word pieces no row belongs to a word")
    counts = {name: len(fold[name]) for name in (*shapes, "raw_text", "id", "regression_labels")}
    if len(set(counts.values())) != 1:
        raise MimdataError(f"{split} has arrays of different lengths: {counts}")
    for i in range(len(fold["id"])):
        yield _utterance(fold, modalities, i, split)


def _utterance(fold: Mapping[str, Any], modalities: Sequence[str], i: int, split: Split) -> WordValues:
    name = str(fold["id"][i])
    pieces = matrix(fold["text_bert"][i], f"the word pieces of {name}")
    length = int((pieces[1] > 0).sum())
    ids: Int32 = pieces[0, :length].astype(np.int32)
    words, owners = _words(str(fold["raw_text"][i]), ids, name)
    values = {
        m: _mean(matrix(fold[m][i], f"the values of {m} of {name}")[:length], owners, len(words))
        for m in modalities
    }
    video, segment = place_of(name)
    sentiment = label(fold["regression_labels"][i], name)
    return WordValues(video, segment, split, sentiment, words, values, (ids, owners))


def _words(text: str, ids: Int32, name: str) -> tuple[tuple[str, ...], Int32]:
    """The words that the pieces (t,) are of, and the word of each piece; a text may be cut off at the end."""
    spoken = text.split()
    encoded = _tokenizer()(spoken, is_split_into_words=True, truncation=False, padding=False)
    expected, owners = encoded["input_ids"], encoded.word_ids()
    inner = len(ids) - 1  # a text that was cut off has its [SEP] earlier
    if inner < 1 or list(expected[:inner]) != ids[:inner].tolist() or ids[-1] != expected[-1]:
        raise MimdataError(
            f"the word pieces of {name} are not those of its text in BERT's English vocabulary"
        )
    found = [-1 if owner is None else int(owner) for owner in owners[:inner]] + [-1]
    return tuple(spoken[: max(found) + 1]), np.array(found, np.int32)


@cache
def _tokenizer() -> Any:
    """The word pieces of bert-base-uncased, whose vocabulary the MiniLM has that installs with us."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(encoder_folder(MINILM)), local_files_only=True, use_fast=True)


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

    Raises MimdataError for words that have no piece in BERT's English vocabulary.
    """
    found = [(u, *_pieces(u)) for u in utterances if u.split is not None]
    longest = max(len(ids) for _, ids, _ in found)
    return {
        names[0]: _fold([one for one in found if one[0].split == split], found[0][0], longest)
        for split, names in FOLDS.items()
    }


def _pieces(u: WordValues) -> tuple[Int32, Int32]:
    """The ids of the pieces (t,) of an utterance's words, and the word of each, −1 for the special ones."""
    encoded = _tokenizer()(list(u.words), is_split_into_words=True, truncation=False, padding=False)
    owners = np.array([-1 if owner is None else owner for owner in encoded.word_ids()], np.int32)
    for i in sorted(set(range(len(u.words))) - set(owners.tolist())):
        raise MimdataError(
            f"{u.clip_id} has the word {u.words[i]!r}, which has no word piece: the form {NAME} needs words in English"
        )
    return np.array(encoded["input_ids"], np.int32), owners


def _fold(found: Sequence[tuple[WordValues, Int32, Int32]], some: WordValues, longest: int) -> dict[str, Any]:
    bert = np.zeros((len(found), 3, longest), np.float32)
    fold: dict[str, Any] = {
        m: np.zeros((len(found), longest, some.values[m].shape[1]), np.float32) for m in MODALITIES
    }
    for i, (u, ids, owners) in enumerate(found):
        bert[i, 0, : len(ids)], bert[i, 1, : len(ids)] = ids, 1
        for m in MODALITIES:
            fold[m][i, np.flatnonzero(owners >= 0)] = u.values[m][owners[owners >= 0]]
    labels = np.array([np.nan if u.sentiment is None else u.sentiment for u, _, _ in found], np.float32)
    lengths = [len(ids) for _, ids, _ in found]
    return fold | {
        "raw_text": np.array([" ".join(u.words) for u, _, _ in found], object),
        "text_bert": bert,
        "id": np.array([f"{u.video}$_${u.segment}" for u, _, _ in found], object),
        "regression_labels": labels,
        "classification_labels": np.sign(labels) + 1,
        "annotations": np.array(
            ["" if np.isnan(v) else CLASSES[int(np.sign(v)) + 1] for v in labels], object
        ),
        "audio_lengths": lengths,
        "vision_lengths": lengths,
    }
