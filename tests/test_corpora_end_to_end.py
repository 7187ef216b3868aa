"""Corpora in their published layouts through `extract` and `align`, with speech that can be heard."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import mimdata
from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.corpora.mosei import LAYOUT
from tests.command import Command

DIALOG = "Ses01F_impro01"


@dataclass(frozen=True)
class Said:
    """What is said in a film of the demo: its utterances as (start, end, text)."""

    film: Path
    utterances: list[tuple[float, float, str]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    root = tmp_path_factory.mktemp("demo")
    build_demo(root, utterances=9, videos=3)
    transcript = min((root / LAYOUT.transcripts).glob("*.txt"))
    rows = [line.split("___") for line in transcript.read_text(encoding="utf-8").splitlines()]
    return Said(
        root / LAYOUT.full_video / f"{transcript.stem}.mp4",
        [(max(0.0, float(row[2])), float(row[3]), row[4]) for row in rows],
    )


def put(path: Path, content: str | bytes | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def iemocap(root: Path, said: Said) -> None:
    dialog = root / "Session1/dialog"
    put(dialog / f"avi/DivX/{DIALOG}.avi", said.film)
    turns = [(f"{DIALOG}_F{i:03d}", *row) for i, row in enumerate(said.utterances)]
    lines = [f"{name} [{start:08.4f}-{end:08.4f}]: {text}" for name, start, end, text in turns]
    put(dialog / f"transcriptions/{DIALOG}.txt", "\n".join(lines))
    rated = [f"[{s:.4f} - {e:.4f}]\t{name}\tang\t[1.5000, 4.0000, 4.5000]" for name, s, e, _ in turns]
    put(dialog / f"EmoEvaluation/{DIALOG}.txt", "\n".join(rated))
    for name, start, end, text in turns:
        words = text.upper().split()
        edges = np.linspace(0, 100 * (end - start), len(words) + 1).astype(int)
        rows = [f"\t{edges[i]:5d} {edges[i + 1] - 1:5d} {-1000:10d} {word}" for i, word in enumerate(words)]
        body = "\n".join(["\tSFrm  EFrm    SegAScr Word", *rows, " Total score:      -1000"])
        put(root / f"Session1/sentences/ForcedAlignment/{DIALOG}/{name}.wdseg", body)


def ur_funny(root: Path, said: Said) -> None:
    text = [row[2] for row in said.utterances]
    language = {7: {"context_sentences": text[:-1], "punchline_sentence": text[-1]}}
    put(root / "data_folds.pkl", pickle.dumps({"train": [7], "dev": [], "test": []}, 2))
    put(root / "language_sdk.pkl", pickle.dumps(language, 2))
    put(root / "humor_label_sdk.pkl", pickle.dumps({7: 1}, 2))
    put(root / "urfunny2_videos/7.mp4", said.film)


def mustard(root: Path, said: Said) -> None:
    entry = {"speaker": "ROSS", "show": "FRIENDS", "sarcasm": False, "context": [], "context_speakers": []}
    text = " ".join(row[2] for row in said.utterances)
    put(root / "sarcasm_data.json", json.dumps({"1_7": {"utterance": text, **entry}}))
    put(root / "utterances_final/1_7.mp4", said.film)


def subtitles(root: Path, said: Said) -> None:
    def time(seconds: float) -> str:
        return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}"

    lines = [f"{time(start)} --> {time(end)}\n{text}\n" for start, end, text in said.utterances]
    put(root / "talks/anna.en.vtt", "\n".join(["WEBVTT\n", *lines]))
    put(root / "talks/anna.mp4", said.film)


def labels(text: str, label: float) -> str:
    """MMSA's table of one clip, its labels of single modalities at half, a quarter and none of `label`."""
    header = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode"
    return f'{header}\nvideo_0001,0001,"{text}",{label},{label / 2},{label / 4},,Positive,valid\n'


def mmsa(root: Path, said: Said) -> None:
    put(root / "label.csv", labels(" ".join(row[2] for row in said.utterances), 2.0))
    put(root / "Raw/video_0001/0001.mp4", said.film)


def ch_sims(root: Path, said: Said) -> None:
    """Chinese characters of a TextGrid over a film in which English is spoken: the voice does not mind."""
    text = "我很好也很高兴"
    put(root / "label.csv", labels(text, 1.0))
    put(root / "Raw/video_0001/0001.mp4", said.film)
    end = said.utterances[-1][1]
    edges = np.linspace(said.utterances[0][0], end, len(text) + 1)
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", f"xmin = 0\nxmax = {end}", "tiers? <exists>",
        "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"', '        name = "words"',
        f"        xmin = 0\n        xmax = {end}", f"        intervals: size = {len(text)}",
    ]  # fmt: skip
    for i, character in enumerate(text):
        lines += [f"        intervals [{i + 1}]:", f"            xmin = {edges[i]}"]
        lines += [f"            xmax = {edges[i + 1]}", f'            text = "{character}"']
    put(root / "Raw/video_0001/0001.TextGrid", "\n".join(lines) + "\n")


def meld(root: Path, said: Said) -> None:
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    text = " ".join(row[2] for row in said.utterances)
    row = f'1,"{text}",Joey,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"\n'
    for part in ("train", "dev", "test"):
        put(root / f"{part}_sent_emo.csv", header + (row if part == "dev" else ""))
    put(root / "dev_splits_complete/dia0_utt0.mp4", said.film)


@pytest.mark.parametrize(
    ("lay", "aligner", "split", "rows", "emotion"),
    [
        (mmsa, "pocketsphinx", "valid", 1, None),
        (ch_sims, "textgrid", "valid", 1, None),
        (meld, "pocketsphinx", "valid", 1, ("joy", 1.0)),
        (iemocap, "given", "train", 3, ("anger", 1.0)),
        (ur_funny, "pocketsphinx", "train", 1, ("humor", 1.0)),
        (mustard, "pocketsphinx", "test", 1, ("sarcasm", 0.0)),
        (subtitles, "pocketsphinx", "train", 3, None),
    ],
    ids=["mmsa", "ch-sims", "meld", "iemocap", "ur-funny", "mustard", "subtitles"],
)
def test_a_published_layout_becomes_a_version(
    tmp_path: Path,
    said: Said,
    lay: Callable[[Path, Said], None],
    aligner: str,
    split: str,
    rows: int,
    emotion: tuple[str, float] | None,
) -> None:
    lay(tmp_path / "raw", said)
    command = Command(tmp_path)
    name = lay.__name__.replace("_", "-")
    command(
        "extract",
        "--corpus",
        name,
        "--root",
        "raw",
        "--modality",
        "text",
        "--modality",
        "audio",
        "--workers",
        "0",
    )
    command(
        "align",
        "--corpus",
        name,
        "--modality",
        "text",
        "--modality",
        "audio",
        "--aligner",
        aligner,
        "--workers",
        "0",
    )
    data = mimdata.open(store=tmp_path / ".mimdata").split(split)
    assert len(data) == rows
    for row in data.rows():
        assert emotion is None or row[f"emotion_{emotion[0]}"] == emotion[1]
        assert row["audio_valid"].mean() > 0.8
        assert np.isfinite(row["text_mean"]).all()
        assert set(row["word_status"]) == {"aligned"}
    if lay in (mmsa, ch_sims):
        (row,) = data.rows()
        found = [row["sentiment"], *(row[f"sentiment_{m}"] for m in ("text", "audio"))]
        assert found == ([2.0, 1.0, 0.5] if lay is mmsa else [3.0, 1.5, 0.75])
        assert "sentiment_vision" not in row  # nobody rated it
        assert lay is mmsa or (row["language"], len(row["words"])) == ("zh", 7)
