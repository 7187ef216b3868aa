"""The demo corpus, built on the spot and read like CMU-MOSEI, whose raw layout it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mimdata.pipeline.corpora.mosei import MoseiCorpus
from mimdata.pipeline.records import Clip, Problem


class DemoCorpus:
    """Synthetic talking heads, built on the spot: 24 utterances in 4 videos, in MOSEI's raw layout."""

    name: ClassVar[str] = "demo"

    def prepare(self, root: Path) -> None:
        """Build the corpus unless a complete demo, of whatever size, lies under `root`."""
        from mimdata.pipeline.corpora.demo_builder import build_demo, is_demo

        if not is_demo(root):
            build_demo(root)

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """As MOSEI's. Raises MimdataError where nothing was built."""
        yield from MoseiCorpus().clips(root)

    def check(self, root: Path) -> Iterator[Problem]:
        """As MOSEI's, without a word on the audio files that a demo does not have."""
        for problem in MoseiCorpus().check(root):
            if problem.cause != "no media folder":
                yield problem
