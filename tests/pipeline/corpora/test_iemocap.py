"""IEMOCAP's layout: sessions, dialogues, turns with times, ratings and forced alignments."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.corpora.iemocap import EMOTIONS, IemocapCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, GivenWord, Problem
from tests.pipeline.corpora.conftest import Place

DIALOG = "Ses01F_impro01"
SAID = f"""{DIALOG}_F000 [000.1000-000.4000]: Excuse me.
{DIALOG}_M000 [000.5000-000.9000]: Do you have your forms?
M: BREATHING
{DIALOG}_MXX0 [000.9100-000.9500]: Yeah.
"""
RATED = f"""% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.1000 - 0.4000]\t{DIALOG}_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[0.5000 - 0.9000]\t{DIALOG}_M000\txxx\t[5.5000, 3.0000, 3.0000]
"""
ALIGNED = """\t SFrm  EFrm   SegAScr Word
\t    0     4    -78590 <s>
\t    5    14   -600000 EXCUSE(2)
\t   15    19   -110000 ++LAUGHTER++
\t   20    25   -600000 ME
\t   26    29    -78590 </s>
 Total score:     -1466180
"""


def lay(
    place: Place, session: int = 1, dialog: str = DIALOG, said: str = SAID, rated: str | None = RATED
) -> None:
    folder = f"Session{session}"
    place(f"{folder}/dialog/avi/DivX/{dialog}.avi")
    place(f"{folder}/dialog/transcriptions/{dialog}.txt", said)
    place(f"{folder}/dialog/transcriptions/._{dialog}.txt", b"\x00\x05\x16")
    if rated is not None:
        place(f"{folder}/dialog/EmoEvaluation/{dialog}.txt", rated)
    place(f"{folder}/sentences/ForcedAlignment/{dialog}/{dialog}_F000.wdseg", ALIGNED)


def read(root: Path) -> tuple[list[Clip], list[Problem]]:
    items = list(admit(IemocapCorpus().clips(root)))
    return [i for i in items if isinstance(i, Clip)], [i for i in items if isinstance(i, Problem)]


def test_turns(tmp_path: Path, place: Place) -> None:
    lay(place)
    (her, his), problems = read(tmp_path)
    assert (her.clip_id, her.start, her.end, her.text) == (f"{DIALOG}[0]", 0.1, 0.4, "Excuse me.")
    assert (her.speaker, her.split) == ("Ses01F", "train")
    assert her.source == f"Session1/dialog/avi/DivX/{DIALOG}.avi"
    assert her.sentiment == pytest.approx(-0.75)  # valence 2.5 of 1 to 5
    assert her.emotions == {name: float(name == "neutral") for name in EMOTIONS.values()}
    assert her.words == (GivenWord("EXCUSE", 0.05, 0.15), GivenWord("ME", 0.2, 0.26))
    assert (his.clip_id, his.speaker, his.words) == (f"{DIALOG}[1]", "Ses01M", None)
    assert (his.sentiment, his.emotions) == (None, {})  # 5.5 is no valence, and the raters do not agree
    assert [(p.cause, p.excludes) for p in problems] == [("label out of range", False), ("not a turn", True)]


def test_the_fourth_session_is_valid_the_fifth_is_test(tmp_path: Path, place: Place) -> None:
    for session in (1, 4, 5):
        dialog = f"Ses0{session}F_impro01"
        lay(place, session, dialog, SAID.replace(DIALOG, dialog), RATED.replace(DIALOG, dialog))
    clips, _ = read(tmp_path)
    assert {(c.speaker, c.split) for c in clips} == {
        (f"Ses0{s}{who}", split) for s, split in ((1, "train"), (4, "valid"), (5, "test")) for who in "FM"
    }
    missing, faces = IemocapCorpus().check(tmp_path)
    assert "Session2, Session3" in missing.message
    assert "side by side" in faces.message
    assert not missing.excludes
    assert not faces.excludes


def test_what_is_not_there_is_said(tmp_path: Path, place: Place) -> None:
    lay(place, rated=None)
    place("Session1/dialog/transcriptions/Ses01F_impro02.txt", SAID)
    lay(
        place, dialog="Ses01F_impro03", rated="[nonsense]\tSes01F_impro03_F000\n"
    )  # turns of another dialogue
    clips, problems = read(tmp_path)
    assert [(c.clip_id, c.sentiment, c.emotions) for c in clips] == [
        (f"{DIALOG}[{i}]", None, {}) for i in (0, 1)
    ]
    causes = [p.cause for p in problems]
    assert causes == ["missing file", "not a turn", "missing file", "bad row", *["not a turn"] * 3]


def test_without_a_session_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match="IEMOCAP_full_release"):
        list(IemocapCorpus().clips(tmp_path))
