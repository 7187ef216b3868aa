"""The forms of published pickles: recognised, read, written, and refused in one line."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats import mag_bert, mmsa, mult
from mimdata.pipeline.formats.pickles import read_forms, read_vocabulary
from mimdata.pipeline.formats.spread import spread
from mimdata.pipeline.formats.word_values import Reading, WordValues

RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def save(path: Path, document: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(document, protocol=protocol))
    return path


def mag_bert_rows() -> list[Any]:
    words = ["I", "don't", "like", "it"]
    return [
        ((words, numbers(4, 47), numbers(4, 74)), np.array([[1.5]], np.float32), f"a[{k}]") for k in (0, 3)
    ]


def mult_fold() -> dict[str, Any]:
    fold = {"text": numbers(2, 5, 300), "audio": numbers(2, 5, 74), "vision": numbers(2, 5, 35)}
    for values in fold.values():
        values[0, :2] = 0
    ids = np.array([["a", "0.5", "2.0"], ["a", "2.0", "3.0"]], object)
    return {**fold, "labels": numbers(2, 1, 1), "id": ids}


@pytest.mark.parametrize("protocol", range(6))
def test_mag_bert_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    rows = mag_bert_rows()
    form, found = read_forms(save(tmp_path / "a.pkl", {"train": rows, "dev": [], "test": []}, protocol))
    assert form == "mag-bert"
    assert [u.clip_id for u in found] == ["a[0]", "a[3]"]
    assert found[0].words == ("I", "don't", "like", "it")
    assert found[0].sentiment == 1.5
    assert np.array_equal(found[0].values["vision"], rows[0][0][1])
    assert np.array_equal(found[0].values["audio"], rows[0][0][2])


def test_misa_rows_and_one_fold(tmp_path: Path) -> None:
    (words, visual, acoustic), label, name = mag_bert_rows()[0]
    row = ((np.arange(4), visual, acoustic, words), label, name)
    path = save(tmp_path / "a.pkl", [row])
    form, (found,) = read_forms(path, "test")
    assert (form, found.split, found.words) == ("misa", "test", tuple(words))
    with pytest.raises(MimdataError, match="one fold of 1 rows: say with --split"):
        read_forms(path)


def test_numbers_alone_need_their_vocabulary(tmp_path: Path) -> None:
    (words, visual, acoustic), label, name = mag_bert_rows()[0]
    path = save(tmp_path / "a.pkl", {"train": [((np.array([5, 3, 2, 7]), visual, acoustic), label, name)]})
    with pytest.raises(MimdataError, match=r"give \{word: number\} with --vocabulary"):
        read_forms(path)
    numbered = dict(zip(words, (5, 3, 2, 7), strict=True))
    (tmp_path / "words.json").write_text(json.dumps(numbered))
    for given in (tmp_path / "words.json", save(tmp_path / "words.pkl", numbered)):
        _, (found,) = read_forms(path, reading=Reading(vocabulary=read_vocabulary(given)))
        assert found.words == tuple(words)
    with pytest.raises(MimdataError, match="row 0 of train has the word 5, which the vocabulary does not"):
        read_forms(path, reading=Reading(vocabulary={3: "a"}))
    for content in ([1], {"a": "b"}):
        with pytest.raises(MimdataError, match=r"expected \{word: number\}"):
            read_vocabulary(save(tmp_path / "no.pkl", content))


def test_mult_padding_is_in_front(tmp_path: Path) -> None:
    fold = mult_fold()
    form, found = read_forms(save(tmp_path / "a.pkl", {"train": fold}))
    assert form == "mult"
    assert [(u.clip_id, len(u.words), u.start) for u in found] == [("a[0]", 3, 0.5), ("a[1]", 5, 2.0)]
    assert np.array_equal(found[0].values["audio"], fold["audio"][0, 2:])


def mmsa_fold() -> dict[str, Any]:
    """[CLS] don ' t like [SEP]."""
    ids = np.zeros((1, 3, 8), np.int64)
    ids[0, 0, :6] = [101, 2123, 1005, 1056, 2066, 102]
    ids[0, 1, :6] = 1
    return {
        "raw_text": np.array(["don't like"]),
        "text_bert": ids,
        "text": numbers(1, 8, 768),
        "audio": numbers(1, 8, 5),
        "vision": numbers(1, 8, 20),
        "id": ["v$_$12"],
        "regression_labels": np.array([-0.4]),
    }


def test_mmsa_pieces_become_words(tmp_path: Path) -> None:
    """The first word is the mean of three rows."""
    fold = mmsa_fold()
    form, (found,) = read_forms(save(tmp_path / "a.pkl", {"valid": fold}))
    assert (form, found.clip_id, found.words) == ("mmsa", "v[12]", ("don't", "like"))
    assert np.allclose(found.values["audio"], [fold["audio"][0, 1:4].mean(0), fold["audio"][0, 4]], atol=1e-6)
    assert found.tokens is not None
    assert found.tokens[1].tolist() == [-1, 0, 0, 0, 1, -1]


@pytest.mark.parametrize("lengths", [True, False])
def test_mmsas_unaligned_frames_are_shared_out_when_asked(tmp_path: Path, lengths: bool) -> None:
    """don't has five letters, like has four: of nine frames the first has five."""
    fold = mmsa_fold()
    fold["audio"] = numbers(1, 375, 5)
    fold["audio"][0, 9:] = 0
    fold["vision"] = numbers(1, 40, 20)
    fold["vision"][0, 18:] = 0
    fold["vision"][0, 17, 3] = np.nan
    more = {"audio_lengths": [9], "vision_lengths": [18]} if lengths else {}
    path = save(tmp_path / "b.pkl", {"valid": {**fold, **more}})
    with pytest.raises(
        MimdataError, match=r"not aligned, .* or share the frames out .* with --spread-frames"
    ):
        read_forms(path)
    form, (found,) = read_forms(path, reading=Reading(spread=True))
    assert (form, found.words, found.alignment) == ("mmsa", ("don't", "like"), "spread")
    audio, vision = fold["audio"][0], fold["vision"][0]
    assert np.allclose(found.values["audio"], [audio[:5].mean(0), audio[5:9].mean(0)], atol=1e-6)
    assert np.allclose(found.values["vision"], [vision[:10].mean(0), vision[10:17].mean(0)], atol=1e-6)
    assert np.allclose(found.values["text"], [fold["text"][0, 1:4].mean(0), fold["text"][0, 4]], atol=1e-6)


def test_arrays_of_one_size_may_hold_frames_as_their_lengths_tell(tmp_path: Path) -> None:
    fold = mmsa_fold() | {"audio_lengths": [2], "vision_lengths": [6]}
    path = save(tmp_path / "b.pkl", {"valid": fold})
    with pytest.raises(MimdataError, match="not aligned"):
        read_forms(path)
    (found,) = read_forms(path, reading=Reading(spread=True))[1]
    first, second = fold["audio"][0, :2]
    assert np.allclose(found.values["audio"], [(9 * first + second) / 10, second], atol=1e-6)
    assert np.allclose(found.values["vision"][1], fold["vision"][0, 4], atol=1e-6)


def test_mults_unaligned_frames_are_shared_out_when_asked(tmp_path: Path) -> None:
    fold = mult_fold()
    fold["audio"], fold["vision"] = numbers(2, 375, 74), numbers(2, 9, 35)
    fold["audio"][0, :369] = 0
    path = save(tmp_path / "a.pkl", {"train": fold})
    with pytest.raises(MimdataError, match="not aligned"):
        read_forms(path)
    first, second = read_forms(path, reading=Reading(spread=True))[1]
    assert (first.words, len(second.words), first.alignment) == (("", "", ""), 5, "spread")
    assert np.array_equal(first.values["text"], fold["text"][0, 2:])
    wanted = fold["audio"][0, 369:].reshape(3, 2, 74).mean(axis=1)
    assert np.allclose(first.values["audio"], wanted, atol=1e-6)
    assert np.allclose(first.values["vision"], fold["vision"][0].reshape(3, 3, 35).mean(axis=1), atol=1e-6)


def test_fewer_frames_than_words_and_none_at_all() -> None:
    frames = numbers(2, 3)
    assert np.array_equal(spread(frames, ["a"] * 4), frames[[0, 0, 1, 1]])
    assert np.array_equal(spread(frames[:0], ["a", "b"]), np.zeros((2, 3)))
    assert spread(frames, []).shape == (0, 3)


@pytest.fixture
def chinese_model(tmp_path: Path) -> Path:
    """A vocabulary of a few characters: bert-base-chinese is on the hub alone."""
    folder = tmp_path / "zh"
    folder.mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "很", "ok", "。"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true}'
    )
    return folder


def test_mmsa_in_chinese_needs_its_own_vocabulary(tmp_path: Path, chinese_model: Path) -> None:
    fold = mmsa_fold()
    fold["raw_text"] = np.array(["我很OK。"])
    fold["text_bert"][0, 0, :6] = [2, 5, 6, 7, 8, 3]
    path = save(tmp_path / "a.pkl", {"train": fold})
    with pytest.raises(MimdataError, match=r"vocabulary of minilm: .*bert-base-chinese"):
        read_forms(path)
    _, (found,) = read_forms(path, reading=Reading(text_model=str(chinese_model)))
    assert found.words == ("我", "很", "OK。")
    assert np.allclose(found.values["audio"][2], fold["audio"][0, 3:5].mean(0), atol=1e-6)
    (written,) = mmsa.write([found])["train"]["text_bert"]
    assert written[0].tolist() == [2, 5, 6, 7, 8, 3]  # its own pieces, not those of another vocabulary


@pytest.mark.parametrize("form", [mag_bert, mult])
def test_what_is_written_is_read_again(tmp_path: Path, form: Any) -> None:
    document = {"train": mag_bert_rows() if form is mag_bert else mult_fold()}
    _, before = read_forms(save(tmp_path / "a.pkl", document))
    _, after = read_forms(save(tmp_path / "b.pkl", form.write(before)))
    for a, b in zip(before, after, strict=True):
        assert (a.clip_id, a.words, a.sentiment, a.split) == (b.clip_id, b.words, b.sentiment, b.split)
        for modality in a.values:
            assert np.array_equal(a.values[modality], b.values[modality])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (7, "holds a int"),
        ({"a": 1}, "holds a dict of a"),
        ({"train": {"x": 1}}, "a fold of it holds a dict of x"),
        (
            {"train": [((np.arange(2), numbers(2, 47), numbers(2, 74)), 1.0, "a[0]")]},
            "only the numbers of its words",
        ),
        ({"train": [((["a"], numbers(2, 47), numbers(1, 74)), 1.0, "a[0]")]}, "1 words and 2 rows of vision"),
    ],
)
def test_other_pickles_are_refused_in_one_line(tmp_path: Path, document: Any, message: str) -> None:
    with pytest.raises(MimdataError, match=message) as caught:
        read_forms(save(tmp_path / "a.pkl", document))
    assert "\n" not in str(caught.value)


class _Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def test_nothing_of_a_hostile_pickle_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MimdataError, match=r"asks for posix\.system"):
        read_forms(save(tmp_path / "a.pkl", {"train": [_Hostile()]}))
    assert not (tmp_path / "ran").exists()


def test_mmsa_is_written_by_pieces_and_comes_back_as_words(tmp_path: Path) -> None:
    rows = [numbers(2, 6), numbers(2, 5), numbers(2, 4)]
    rows[1][1] = 0  # masked in voice
    values = dict(zip(("text", "audio", "vision"), rows, strict=True))
    first = WordValues("a", 3, "train", -1.5, ("don't", "like"), values, sentiments={"audio": 0.5})
    theirs = {m: numbers(3, v.shape[1]) for m, v in values.items()}
    other = WordValues("b", 0, "valid", None, ("I", "do", "."), theirs, sentiments={"vision": -1.0})
    document = mmsa.write([first, other])
    train = document["train"]
    # [CLS] don ' t like [SEP], and the other utterance needs five
    assert train["text_bert"][0].tolist() == [[101, 2123, 1005, 1056, 2066, 102], [1] * 6, [0] * 6]
    assert np.array_equal(
        train["vision"][0], values["vision"][[0, 0, 0, 0, 1, 0]] * [[0], [1], [1], [1], [1], [0]]
    )
    assert (train["id"].tolist(), train["raw_text"].tolist()) == (["a$_$3"], ["don't like"])
    assert (train["classification_labels"].tolist(), train["annotations"].tolist()) == ([0], ["Negative"])
    assert train["audio_lengths"] == [6]
    assert document["valid"]["text_bert"].shape == (1, 3, 6)
    assert document["valid"]["annotations"].tolist() == [""]
    assert len(document["test"]["id"]) == 0

    assert np.array_equal(train["regression_labels_A"], np.array([0.5], np.float32))
    assert np.isnan(document["valid"]["regression_labels_V"]).tolist() == [False]
    assert "regression_labels_T" not in train

    form, found = read_forms(save(tmp_path / "a.pkl", document))
    assert form == "mmsa"
    assert [u.sentiments for u in found] == [{"audio": 0.5}, {"vision": -1.0}]
    for made, back in zip([first, other], found, strict=True):
        assert (back.clip_id, back.split, back.sentiment, back.words) == (
            made.clip_id, made.split, made.sentiment, made.words
        )  # fmt: skip
        for m, wanted in made.values.items():
            assert np.array_equal(back.values[m], wanted)


def test_a_word_without_a_piece_is_not_lost_but_named() -> None:
    values = {m: numbers(2, 3) for m in ("text", "audio", "vision")}
    with pytest.raises(MimdataError, match=r"a\[0\] has the word '', which has no word piece"):
        mmsa.write([WordValues("a", 0, "train", 1.0, ("so", ""), values)])
