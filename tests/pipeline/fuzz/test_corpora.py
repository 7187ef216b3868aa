"""IEMOCAP's texts, MUStARD's document and UR-FUNNY's pickles, whatever their bytes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given

from mimdata.pipeline.corpora.iemocap import IemocapCorpus
from mimdata.pipeline.corpora.mustard import MustardCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.corpora.ur_funny import UrFunnyCorpus
from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import Corpus
from tests.pipeline.corpora.test_iemocap import ALIGNED, DIALOG, RATED, SAID
from tests.pipeline.corpora.test_mustard import entry
from tests.pipeline.corpora.test_ur_funny import SAID as LANGUAGE
from tests.pipeline.fuzz.laws import fuzz, hostile, lawful, outcome, put

IEMOCAP = {
    f"Session1/dialog/transcriptions/{DIALOG}.txt": SAID.encode(),
    f"Session1/dialog/EmoEvaluation/{DIALOG}.txt": RATED.encode(),
    f"Session1/sentences/ForcedAlignment/{DIALOG}/{DIALOG}_F000.wdseg": ALIGNED.encode(),
    f"Session1/dialog/avi/DivX/{DIALOG}.avi": b"film",
}
MUSTARD = {
    "sarcasm_data.json": json.dumps({"1": entry(), "2": entry(show="FRIENDS")}).encode(),
    "utterances_final/1.mp4": b"film",
    "utterances_final/2.mp4": b"film",
}
UR_FUNNY = {
    "data_folds.pkl": pickle.dumps({"train": [2], "dev": [], "test": [3]}, 2),
    "language_sdk.pkl": pickle.dumps({2: LANGUAGE, 3: LANGUAGE}, 4),
    "humor_label_sdk.pkl": pickle.dumps({2: 0, 3: 1}, 0),
    "urfunny2_videos/2.mp4": b"film",
    "urfunny2_videos/3.mp4": b"film",
}
CASES: list[tuple[Corpus, dict[str, bytes], str]] = [
    (corpus, files, name)
    for corpus, files in ((IemocapCorpus(), IEMOCAP), (MustardCorpus(), MUSTARD), (UrFunnyCorpus(), UR_FUNNY))
    for name in files
    if files[name] != b"film"
]


@pytest.mark.parametrize(
    ("corpus", "files", "name"), CASES, ids=[f"{c.name}-{Path(n).name}" for c, _, n in CASES]
)
def test_any_bytes_in_a_file_of_the_layout(
    tmp_path: Path, corpus: Corpus, files: dict[str, bytes], name: str
) -> None:
    for other, content in files.items():
        put(tmp_path / other, content)
    intact = [item for item in admit(corpus.clips(tmp_path)) if isinstance(item, Clip)]
    assert len(intact) == 2  # what is mutated is a corpus that can be read

    @fuzz
    @given(hostile(files[name], tokens=(b"F000", b"true", b"-5", b"[", DIALOG.encode())))
    def check(data: bytes) -> None:
        put(tmp_path / name, data)
        outcome(lambda: lawful(admit(corpus.clips(tmp_path))), Path(name).name)

    check()
