"""The form of MMSA: folds of arrays {raw_text, text_bert (n, 3, T), text (n, T, d), audio, vision, id, regression_labels}.

In its aligned files a row is a word piece of `raw_text`, between [CLS] and [SEP] and filled up at the end. A word's values
are the mean of its pieces'. Its unaligned files hold frames without times, which cannot be aligned, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.bert import MINILM, encoder_folder
from mimdata.pipeline.formats.word_values import WordValues, label, matrix, place_of
from mimdata.pipeline.records import Float32, Int32, Split

NAME = "mmsa"


def is_fold(fold: Any) -> bool:
    """Whether a fold has arrays of these names."""
    return isinstance(fold, Mapping) and {"raw_text", "audio", "vision", "id", "regression_labels"} <= set(
        fold
    )


def read(fold: Mapping[str, Any], split: Split) -> Iterator[WordValues]:
    """The utterances of a fold, word by word. Raises MimdataError for an unaligned file, and for other pieces."""
    modalities = [m for m in ("text", "audio", "vision") if m in fold]
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
