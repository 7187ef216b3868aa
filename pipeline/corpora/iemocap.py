"""IEMOCAP: dialogues of two actors, five sessions of them (Busso et al., Language Resources and Evaluation 2008).

SessionN/dialog/avi/DivX/DIALOG.avi                     both actors side by side
SessionN/dialog/transcriptions/DIALOG.txt               TURN [006.2901-008.2357]: Excuse me.
SessionN/dialog/EmoEvaluation/DIALOG.txt                [6.2901 - 8.2357] TAB TURN TAB neu TAB [2.5000, 2.5000, 2.5000]
SessionN/sentences/ForcedAlignment/DIALOG/TURN.wdseg    SFrm EFrm SegAScr Word, in frames of 10 ms of the turn

DIALOG is Ses01F_impro01 or Ses01M_script02_1, TURN adds _F000 or _M000: who speaks, and a number.
The numbers in brackets are valence, activation and dominance, from 1 to 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mimdata.pipeline.corpora.lines import read_lines
from mimdata.pipeline.corpora.media_index import VIDEO_SUFFIXES, index_media
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, GivenWord, Problem, Split

SESSIONS: dict[int, Split] = {1: "train", 2: "train", 3: "train", 4: "valid", 5: "test"}
EMOTIONS = {
    "ang": "anger", "dis": "disgust", "exc": "excitement", "fea": "fear", "fru": "frustration",
    "hap": "happiness", "neu": "neutral", "oth": "other", "sad": "sadness", "sur": "surprise",
}  # fmt: skip
UNDECIDED = "xxx"  # the raters do not agree
FRAME = 0.01  # seconds
NUMBER = r"([0-9]{1,6}(?:\.[0-9]{1,9})?)"
SAID = re.compile(rf"(\S+) \[{NUMBER}-{NUMBER}\]:\s*(.*)")
RATED = re.compile(rf"\[{NUMBER} - {NUMBER}\]\t(\S+)\t(\w+)\t\[{NUMBER}, {NUMBER}, {NUMBER}\]\s*")
TURN = re.compile(r"([0-9A-Za-z_]+)_([FM])([0-9]{3,4})")
WORD = re.compile(r"\s*([0-9]{1,9})\s+([0-9]{1,9})\s+-?[0-9]+\s+(\S+)\s*")
VARIANT = re.compile(r"\([0-9]+\)$")


@dataclass(frozen=True)
class Rating:
    """What the raters made of a turn: a category and the mean valence."""

    category: str
    valence: float


class IemocapCorpus:
    """IEMOCAP as published: the folders Session1 to Session5."""

    name: ClassVar[str] = "iemocap"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """The turns of each dialogue in the transcriptions' order. Raises MimdataError where there is no session."""
        sessions = [number for number in SESSIONS if (root / f"Session{number}").is_dir()]
        if not sessions:
            raise MimdataError(f"no Session1 to Session5 in {root}: point --root at IEMOCAP_full_release")
        for number in sessions:
            yield from _session(root, number)

    def check(self, root: Path) -> Iterator[Problem]:
        """That the films show two people, and which sessions are not here."""
        missing = [f"Session{number}" for number in SESSIONS if not (root / f"Session{number}").is_dir()]
        if missing:
            message = f"{', '.join(missing)} of five sessions are not here"
            yield Problem("missing session", message, "fetch them", excludes=False)
        message = "each film shows both actors side by side: the face that is followed may be the listener's"
        yield Problem("two faces", message, "crop the films, or train without vision", excludes=False)


def _session(root: Path, number: int) -> Iterator[Clip | Problem]:
    dialogs = f"Session{number}/dialog"
    films = index_media(root, f"{dialogs}/avi", VIDEO_SUFFIXES)
    folder = root / dialogs / "transcriptions"
    for path in sorted(p for p in folder.glob("*.txt") if not p.name.startswith(".")):
        place = path.relative_to(root).as_posix()
        source = films.find(f"DivX/{path.stem}") or films.find(path.stem)
        if source is None:
            message = f"{place} has no film {dialogs}/avi/DivX/{path.stem}.avi"
            yield Problem("missing file", message, "fetch the file", source=place)
            continue
        ratings: dict[str, Rating] = {}
        yield from _read_ratings(root, f"{dialogs}/EmoEvaluation/{path.name}", ratings)
        for line, text, _ in _lines(path):
            if text.startswith("Ses"):  # other lines are remarks such as "M: BREATHING"
                yield from _turn(root, number, f"{place}:{line}", path.stem, text, source, ratings)


def _turn(
    root: Path, number: int, place: str, dialog: str, line: str, source: str, ratings: dict[str, Rating]
) -> Iterator[Clip | Problem]:
    said = SAID.fullmatch(line.strip())
    name = said and TURN.fullmatch(said[1])
    if not said or not name or name[1] != dialog:
        message = f"{place} is no turn of one speaker of this dialogue: {line[:60]!r}"
        yield Problem("not a turn", message, "nothing to do where both speak at once", source=place)
        return
    rating = ratings.get(said[1])
    valence = rating.valence if rating and 1 <= rating.valence <= 5 else None
    if rating and valence is None:
        message = f"{said[1]} has valence {rating.valence:g}, expected 1 to 5: it is kept without a sentiment"
        yield Problem("label out of range", message, "correct the rating", source=place, excludes=False)
    segment = 2 * int(name[3]) + (name[2] == "M")
    yield Clip(
        f"{dialog}[{segment}]",
        dialog,
        segment,
        source,
        float(said[2]),
        float(said[3]),
        said[4],
        "en",
        SESSIONS[number],
        None if valence is None else 1.5 * (valence - 3),
        _emotions(rating),
        f"Ses{number:02d}{name[2]}",
        _words(root / f"Session{number}/sentences/ForcedAlignment/{dialog}/{said[1]}.wdseg"),
    )


def _emotions(rating: Rating | None) -> dict[str, float]:
    if rating is None or rating.category == UNDECIDED:
        return {}
    return {name: float(code == rating.category) for code, name in EMOTIONS.items()}


def _read_ratings(root: Path, place: str, ratings: dict[str, Rating]) -> Iterator[Problem]:
    """Fill `ratings` by turn, and say what cannot be read; the lines below each turn are those of single raters."""
    path = root / place
    if not path.is_file():
        message = f"{place} is not here: its turns have no labels"
        yield Problem("missing file", message, "fetch the file", source=place, excludes=False)
        return
    for line, text, _ in _lines(path):
        rated = RATED.fullmatch(text)
        if rated and (rated[4] in EMOTIONS or rated[4] == UNDECIDED):
            ratings[rated[3]] = Rating(rated[4], float(rated[5]))
        elif text.startswith("[") and "\tSes" in text:
            message = f"{place}:{line} is no rating: {text[:60]!r}"
            yield Problem("bad row", message, "correct the line", source=place, excludes=False)


def _words(path: Path) -> tuple[GivenWord, ...] | None:
    """Word times from the turn's start; without fillers (<s>, ++LAUGHTER++) and the marks of variants; None without any."""
    if not path.is_file():
        return None
    found = [match for _, text, _ in _lines(path) if (match := WORD.fullmatch(text))]
    words = [
        GivenWord(VARIANT.sub("", match[3]), FRAME * int(match[1]), FRAME * (int(match[2]) + 1))
        for match in found
        if not match[3].startswith(("<", "++"))
    ]
    return tuple(words) or None


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    try:
        yield from read_lines(path)
    except OSError as error:
        raise MimdataError(f"cannot read {path} ({error.strerror}): look at its permissions") from None
