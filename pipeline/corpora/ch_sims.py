"""CH-SIMS: Chinese, in MMSA's layout, labels from −1 to 1 that are brought to −3 to 3 (Yu et al., ACL 2020)."""

from __future__ import annotations

from typing import ClassVar

from mimdata.pipeline.corpora.mmsa import MmsaCorpus


class ChSimsCorpus(MmsaCorpus):
    """CH-SIMS as published: label.csv and Raw/VIDEO/0001.mp4, Chinese."""

    name: ClassVar[str] = "ch-sims"
    language: ClassVar[str] = "zh"
    label_limit: ClassVar[float] = 1.0
