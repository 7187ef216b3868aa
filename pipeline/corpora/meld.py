"""MELD: utterances of a television series, a table a split and a short film for each (Poria et al., ACL 2019).

{train,dev,test}_sent_emo.csv              Utterance, Speaker, Emotion, Sentiment, Dialogue_ID, Utterance_ID and others
train_splits/diaD_uttU.mp4                 films of train; dev_splits_complete/, output_repeated_splits_test/ of the others
output_repeated_splits_test/final_videos_testdiaD_uttU.mp4     how some films of test are named

Source of the layout: the repository declare-lab/MELD. Dialogues are numbered from 0 in each split, so the split is
part of a video's id. StartTime and EndTime count in the episode, not in the film, and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mimdata.pipeline.corpora.media_index import VIDEO_SUFFIXES, MediaIndex, index_media
from mimdata.pipeline.corpora.table import TableRow, read_table
from mimdata.pipeline.records import Clip, Problem, Split

COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
PARTS: tuple[tuple[Split, str, str], ...] = (
    ("train", "train", "train_splits"),
    ("valid", "dev", "dev_splits_complete"),
    ("test", "test", "output_repeated_splits_test"),
)
EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SENTIMENTS = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
BROKEN = {("train", 125, 3), ("valid", 110, 7)}  # films that do not play in the published archives
NUMBER = re.compile(r"[0-9]{1,9}")
CONTROLS = re.compile("[\x80-\x9f]")  # Windows-1252 read as Latin-1, such as \x92 for an apostrophe


class MeldCorpus:
    """MELD as published: three tables and three folders of films."""

    name: ClassVar[str] = "meld"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips of train, valid and test in the order of the tables. Raises MimdataError without a readable table."""
        for split, part, folder in PARTS:
            path = root / f"{part}_sent_emo.csv"
            films = index_media(root, folder, VIDEO_SUFFIXES)
            for row in read_table(path, COLUMNS):
                yield row if isinstance(row, Problem) else _clip(row, split, folder, films)

    def check(self, root: Path) -> Iterator[Problem]:
        """Nothing beyond what `clips` reports."""
        return iter(())


def _clip(row: TableRow, split: Split, folder: str, films: MediaIndex) -> Clip | Problem:
    cells = row.cells
    if fault := _fault(cells):
        return Problem("bad row", f"{row.place} {fault}", "correct the row", source=row.place.split(":")[0])
    dialogue, segment = int(cells["Dialogue_ID"]), int(cells["Utterance_ID"])
    video, stem = f"{split}_dia{dialogue}", f"dia{dialogue}_utt{segment}"
    clip_id = f"{video}[{segment}]"
    if (split, dialogue, segment) in BROKEN:
        message = f"{clip_id} is left out: {folder}/{stem}.mp4 does not play as published"
        return Problem("broken upstream", message, "nothing to do", clip_id, f"{folder}/{stem}.mp4")
    source = films.find(f"final_videos_test{stem}") or films.find(stem)
    if source is None:
        message = f"{row.place}: {clip_id} has no film {folder}/{stem}.mp4"
        return Problem("missing file", message, "fetch the file", clip_id, f"{folder}/{stem}.mp4")
    emotions = {name: float(name == cells["Emotion"].lower()) for name in EMOTIONS}
    sentiment = SENTIMENTS[cells["Sentiment"].lower()]
    text, speaker = _mended(cells["Utterance"]), _mended(cells["Speaker"]) or None
    return Clip(clip_id, video, segment, source, None, None, text, "en", split, sentiment, emotions, speaker)


def _fault(cells: dict[str, str]) -> str:
    for column in ("Dialogue_ID", "Utterance_ID"):
        if not NUMBER.fullmatch(cells[column]):
            return f"has {column} {cells[column]!r}, expected a number"
    if cells["Emotion"].lower() not in EMOTIONS:
        return f"has Emotion {cells['Emotion']!r}, expected one of {', '.join(EMOTIONS)}"
    if cells["Sentiment"].lower() not in SENTIMENTS:
        return f"has Sentiment {cells['Sentiment']!r}, expected one of {', '.join(SENTIMENTS)}"
    return ""


def _mended(text: str) -> str:
    return CONTROLS.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "replace"), text)
