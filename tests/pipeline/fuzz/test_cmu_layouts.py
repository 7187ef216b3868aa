"""Transcripts, label tables and folds of MOSI and MOSEI, whatever their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.corpora import mosei, mosi
from mimdata.pipeline.corpora.mosei_labels import ANSWERS, RATERS
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import Corpus
from tests.pipeline.fuzz.laws import fuzz, hostile, lawful, outcome, put

VIDEO = "03bSnISJMiM"
MOSI_TEXT = b"1_DELIM_IT WAS GOOD\n2_DELIM_A_DELIM_B\n"
MOSI_TABLE = f"1.5,4,{VIDEO},1,2.4\r\n4,6.25,{VIDEO},2,-0.8\r\n".encode()
MOSEI_TEXT = f"{VIDEO}___0___-0.1___2.5___I love it\n{VIDEO}___7___2.5___4.12___It was bad\n".encode()
RATER_HEAD = ",".join(["Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{answer}" for answer in ANSWERS)])
RATER_TABLE = f"{RATER_HEAD}\n{VIDEO},0,1,3,0,0,0,0,0\n{VIDEO},7,2,0,0,0,0,0,1\n".encode()
FOLDS = f'{{"train": ["{VIDEO}"], "valid": [], "test": ["x"]}}'.encode()

MOSI = {
    f"{mosi.LAYOUT.transcripts}/{VIDEO}.annotprocessed": MOSI_TEXT,
    mosi.TABLE: MOSI_TABLE,
    "folds.json": FOLDS,
    f"{mosi.LAYOUT.full_video}/{VIDEO}.mp4": b"film",
}
MOSEI = {
    f"{mosei.LAYOUT.transcripts}/{VIDEO}.txt": MOSEI_TEXT,
    f"{RATERS}/batch.csv": RATER_TABLE,
    "folds.json": FOLDS,
    f"{mosei.LAYOUT.full_video}/{VIDEO}.mp4": b"film",
}
CASES = [(mosi.MosiCorpus(), MOSI, name) for name in list(MOSI)[:3]]
CASES += [(mosei.MoseiCorpus(), MOSEI, name) for name in list(MOSEI)[:3]]


@pytest.mark.parametrize(("corpus", "files", "name"), CASES, ids=[f"{c.name}-{n}" for c, _, n in CASES])
def test_any_bytes_in_a_file_of_the_layout(
    tmp_path: Path, corpus: Corpus, files: dict[str, bytes], name: str
) -> None:
    for other, content in files.items():
        put(tmp_path / other, content)
    intact = [item for item in admit(corpus.clips(tmp_path)) if isinstance(item, Clip)]
    assert len(intact) == 2  # what is mutated is a corpus that can be read

    @fuzz
    @given(hostile(files[name], tokens=(b"___", b"_DELIM_", b"-5", b"0", VIDEO.encode())))
    def check(data: bytes) -> None:
        put(tmp_path / name, data)
        outcome(lambda: lawful(admit(corpus.clips(tmp_path))), Path(name).name)
        outcome(lambda: lawful(corpus.check(tmp_path)), Path(name).name)

    check()


@pytest.mark.parametrize(("corpus", "files"), [(mosi.MosiCorpus(), MOSI), (mosei.MoseiCorpus(), MOSEI)])
def test_any_name_of_a_transcript(tmp_path: Path, corpus: Corpus, files: dict[str, bytes]) -> None:
    """A file name is bytes that need not be UTF-8, and may hold line ends and escapes."""
    first = Path(next(iter(files)))

    @fuzz
    @given(st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"\0/")))
    def check(stem: bytes) -> None:
        name = stem.decode(errors="surrogateescape") + first.suffix
        text = files[str(first)].decode().replace(VIDEO, stem.decode(errors="surrogateescape"))
        path = put(tmp_path / first.parent / name, text.encode(errors="surrogateescape"))
        media = put(tmp_path / list(files)[3].replace(VIDEO, name.removesuffix(first.suffix)), b"film")
        outcome(lambda: lawful(admit(corpus.clips(tmp_path))), tmp_path.name)
        path.unlink()
        media.unlink()

    check()
