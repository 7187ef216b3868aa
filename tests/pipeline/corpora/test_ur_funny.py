"""UR-FUNNY's layout: pickles of folds, language and labels, and a film an id."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.corpora.ur_funny import UrFunnyCorpus
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place

SAID = {
    "context_sentences": ["so there i was", "on a stage"],
    "punchline_sentence": "and nobody came",
    "context_intervals": [[[0.0, 0.2]], [[0.3, 0.5]]],
    "punchline_intervals": [[0.6, 0.9]],
    "punchline_embedding_indexes": [3, 4, 5],
    "context_embedding_indexes": [[1], [2]],
}
FOLDS = {"train": [2, 9], "dev": [10], "test": [31]}


def lay(place: Place, folds: Any = FOLDS, said: Any = None, labels: Any = None, protocol: int = 2) -> None:
    ids = (2, 9, 10, 31)
    said = dict.fromkeys(ids, SAID) if said is None else said
    labels = {i: i % 2 for i in ids} if labels is None else labels
    for name, value in (("data_folds", folds), ("language_sdk", said), ("humor_label_sdk", labels)):
        place(f"{name}.pkl", pickle.dumps(value, protocol))


def read(root: Path) -> list[Clip | Problem]:
    return list(admit(UrFunnyCorpus().clips(root)))


def test_context_and_punchline_are_one_clip(tmp_path: Path, place: Place) -> None:
    lay(place)
    for name in (2, 9, 10, 31):
        place(f"urfunny2_videos/{name}.mp4")
    clips = [c for c in read(tmp_path) if isinstance(c, Clip)]
    assert [(c.clip_id, c.split, c.emotions["humor"]) for c in clips] == [
        ("2[0]", "train", 0.0), ("9[0]", "train", 1.0), ("10[0]", "valid", 0.0), ("31[0]", "test", 1.0)
    ]  # fmt: skip
    assert clips[0].text == "so there i was on a stage and nobody came"
    assert (clips[0].source, clips[0].sentiment) == ("urfunny2_videos/2.mp4", None)


def test_sentences_may_be_lists_of_words(tmp_path: Path, place: Place) -> None:
    said = {
        "context_sentences": [["so there i was"], ["on a stage"]],
        "punchline_sentence": ["and nobody", "came"],
    }
    lay(place, {"train": [2], "dev": [], "test": []}, {2: said})
    place("urfunny2_videos/2.mp4")
    (clip,) = read(tmp_path)
    assert isinstance(clip, Clip)
    assert clip.text == "so there i was on a stage and nobody came"


def test_what_cannot_be_a_clip(tmp_path: Path, place: Place) -> None:
    folds = {"train": [2, 3, 4, None], "dev": [9], "test": [10]}
    silent = {**SAID, "context_sentences": [], "punchline_sentence": ""}
    lay(place, folds, {2: SAID, 4: SAID, 9: SAID, 10: silent}, {2: 1, 4: "yes", 9: 1, 10: 1})
    place("urfunny2_videos/2.mp4")
    place("urfunny2_videos/10.mp4")
    causes = [item.cause if isinstance(item, Problem) else item.clip_id for item in read(tmp_path)]
    assert causes == ["2[0]", "bad entry", "bad entry", "bad entry", "missing file", "empty transcript"]


class Evil:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize("folds", [[1, 2], {"train": [2]}, Evil()])
def test_a_file_that_is_something_else_is_named_and_not_run(
    tmp_path: Path, place: Place, folds: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(place, folds)
    with pytest.raises(MimdataError, match=r"data_folds\.pkl"):
        read(tmp_path)
    assert "it ran" not in capsys.readouterr().out
