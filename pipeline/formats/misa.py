"""The form of MISA: as MAG-BERT's, with numbers of the words: ((word ids, visual, acoustic, words), label, "video[k]").

Its code reads a folder: train.pkl, dev.pkl and test.pkl, each a list of rows, and embedding_and_mapping.pt, which torch saved:
(vectors of the words or None, {word: id}), where 0 is <unk> and 1 is <pad>.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mimdata.pipeline.formats import mag_bert
from mimdata.pipeline.formats.word_values import WordValues

NAME = "misa"
MAPPING = "embedding_and_mapping.pt"
FIRST = ("<unk>", "<pad>")
read = mag_bert.read


def is_fold(fold: Any) -> bool:
    """Whether a fold is a list whose first row has this form."""
    return mag_bert.is_fold(fold) and len(fold[0][0]) == 4


def write(utterances: Iterable[WordValues]) -> Mapping[str, Any]:
    """The document: {train, dev, test}, as MAG-BERT's with the ids (w,) int64 of `vocabulary`."""
    given = list(utterances)
    ids = vocabulary(given)
    return {
        fold: [
            ((np.array([ids[word] for word in words], np.int64), visual, acoustic, words), label, name)
            for (words, visual, acoustic), label, name in rows
        ]
        for fold, rows in mag_bert.write(given).items()
    }


def vocabulary(utterances: Sequence[WordValues]) -> dict[str, int]:
    """The ids of the words, in the order in which they are first said."""
    words = dict.fromkeys((*FIRST, *(word for u in utterances for word in u.words)))
    return {word: i for i, word in enumerate(words)}
