"""The layout in which MMSA passes MOSI, MOSEI and CH-SIMS around: one label.csv and a short film for each clip.

label.csv            video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode
Raw/VIDEO/CLIP.mp4   one film a clip; CLIP is 0001 in some copies and 1 in others

Source of the layout: the repository thuiar/MMSA and Yu et al., "CH-SIMS", ACL 2020. `label` is −3 to 3 for MOSI and
MOSEI and −1 to 1 for CH-SIMS; so are label_T, label_A and label_V, of raters who had the text, the voice or the face
alone. `annotation` says of `label` whether it is negative, neutral or positive, which its sign does, and is not read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mimdata.pipeline.corpora.chinese import has_chinese, spaced
from mimdata.pipeline.corpora.media_index import AUDIO_SUFFIXES, VIDEO_SUFFIXES, index_media
from mimdata.pipeline.corpora.rules import leaves_root, outside
from mimdata.pipeline.corpora.table import TableRow, read_table
from mimdata.pipeline.records import SPLITS, Clip, Problem

TABLE = "label.csv"
COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
SINGLE = {"text": "label_T", "audio": "label_A", "vision": "label_V"}  # which not every copy has
NUMBER = re.compile(r"0*([0-9]{1,9})")
SUFFIXES = VIDEO_SUFFIXES + AUDIO_SUFFIXES


class MmsaCorpus:
    """MOSI or MOSEI as MMSA distributes them: label.csv and Raw/VIDEO/CLIP.mp4."""

    name: ClassVar[str] = "mmsa"
    language: ClassVar[str] = "en"
    label_limit: ClassVar[float] = 3.0  # the labels run from −label_limit to label_limit

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips in the order of the table. Raises MimdataError without a readable label.csv."""
        films = _Films.under(root)
        for row in read_table(root / TABLE, COLUMNS):
            yield row if isinstance(row, Problem) else self._clip(row, films)

    def check(self, root: Path) -> Iterator[Problem]:
        """What suggests another reader. Raises MimdataError without a readable label.csv."""
        if self.language == "zh":
            return
        rows = [row for row in read_table(root / TABLE, COLUMNS) if isinstance(row, TableRow)]
        if chinese := next((row for row in rows if has_chinese(row.cells["text"])), None):
            message = f"{chinese.place} is Chinese, but is read as English with labels from −3 to 3"
            yield Problem("other language", message, "use --corpus ch-sims", source=TABLE, excludes=False)
        labels = [label for row in rows if (label := _number(row.cells["label"])) is not None]
        if any(labels) and all(abs(label) <= 1 for label in labels):
            message = f"all {len(labels)} labels lie within −1 to 1, and are taken as they are on a scale of −3 to 3"
            yield Problem(
                "narrow labels", message, "if this is CH-SIMS, use --corpus ch-sims", excludes=False
            )

    def _clip(self, row: TableRow, films: _Films) -> Clip | Problem:
        cells = row.cells
        video, name = cells["video_id"], _stem(cells["clip_id"])
        number = NUMBER.fullmatch(name)
        if not video or number is None:
            fault = f"{row.place} has video_id {video!r} and clip_id {name!r}, expected a name and a number"
            return Problem("bad row", fault, "correct the row", source=TABLE)
        segment = int(number[1])
        clip_id = f"{video}[{segment}]"
        if leaves_root(video):
            return outside(clip_id, video)
        label = _number(cells["label"])
        fault = self._fault(row)
        if fault:
            return Problem("bad row", f"{row.place}: {clip_id} {fault}", "correct the row", clip_id, TABLE)
        source = films.find(video, name)
        if source is None:
            message = f"{row.place}: {clip_id} has no film Raw/{video}/{name}.mp4, nor one of another kind"
            return Problem("missing file", message, "fetch the file", clip_id, f"Raw/{video}")
        text = spaced(cells["text"]) if self.language == "zh" else cells["text"]
        split = next((split for split in SPLITS if split == cells["mode"]), None)
        scale = 3 / self.label_limit
        return Clip(
            clip_id,
            video,
            segment,
            source,
            None,
            None,
            text,
            self.language,
            split,
            sentiment=None if label is None else label * scale,
            sentiments={
                modality: value * scale
                for modality, column in SINGLE.items()
                if (value := _number(cells.get(column, ""))) is not None
            },
        )

    def _fault(self, row: TableRow) -> str:
        cells, limit = row.cells, self.label_limit
        if cells["mode"] not in (*SPLITS, ""):
            return f"has mode {cells['mode']!r}, expected train, valid or test"
        for column in ("label", *SINGLE.values()):
            cell = cells.get(column, "")
            value = _number(cell)
            if cell and (value is None or abs(value) > limit):
                return f"has {column} {cell!r}, expected −{limit:g} to {limit:g}"
        return ""


@dataclass(frozen=True)
class _Films:
    """Films by folder and stem; and by the number that the stem is, since copies differ in leading zeros."""

    exact: dict[str, str]
    numbered: dict[tuple[str, int], str]

    @staticmethod
    def under(root: Path) -> _Films:
        exact = dict(sorted(index_media(root, "Raw", SUFFIXES).files.items()))
        numbered: dict[tuple[str, int], str] = {}
        for stem, source in exact.items():
            folder, _, name = stem.rpartition("/")
            if number := NUMBER.fullmatch(name):
                numbered.setdefault((folder, int(number[1])), source)
        return _Films(exact, numbered)

    def find(self, video: str, name: str) -> str | None:
        return self.exact.get(f"{video}/{name}") or self.numbered.get((video, int(name)))


def _stem(clip: str) -> str:
    """A clip_id without the suffix that some copies give it: "0001.mp4" → "0001"."""
    head, dot, suffix = clip.rpartition(".")
    return head if dot and f".{suffix.lower()}" in SUFFIXES else clip


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
