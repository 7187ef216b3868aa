"""The text extractor: one state a word piece, whatever the length, checked against the encoder by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.errors import ClipError, UsageError
from mimdata.pipeline.extractors.bert import BertExtractor, _windows, encoder_folder
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Tokens, words_of
from mimdata.pipeline.steps import Extractor, Resources
from mimdata.pipeline.store.fingerprint import step_identity

NO_MEDIA = Media(Path("nowhere.mp4"), None, None, audio=False, fps=())  # text is read of the clip alone
TEXTS = (
    "I REALLY LOVED THIS MOVIE",
    "it's an unbelievably antidisestablishmentarian flick, isn't it?",
    "no",
    "Ärger über 1,234 dollars ♥ — 电影 !",
)


def clip(text: str) -> Clip:
    return Clip("v[0]", "v", 0, "v.mp4", None, None, text)


@pytest.fixture(scope="module")
def extract() -> Any:
    return BertExtractor().open(Resources())


@pytest.fixture(scope="module")
def reference() -> Any:
    """The library's own tokenizer and encoder, used plainly."""
    from transformers import AutoModel, AutoTokenizer

    folder = str(encoder_folder("minilm"))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True).eval()


def states(reference: Any, text: str, layer: int = -1) -> tuple[list[int], np.ndarray]:
    import torch

    tokenizer, model = reference
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs, output_hidden_states=True).hidden_states[layer][0]
    return inputs["input_ids"][0].tolist(), hidden.numpy()


def same(a: Tokens, b: Tokens) -> bool:
    return (a.ids.tobytes(), a.words.tobytes(), a.values.tobytes()) == (
        b.ids.tobytes(),
        b.words.tobytes(),
        b.values.tobytes(),
    )


def test_it_is_an_extractor() -> None:
    step = BertExtractor()
    assert isinstance(step, Extractor)
    assert step.reads.text
    assert not step.reads.audio
    assert len(step.feature_names) == 384


@pytest.mark.parametrize("text", TEXTS)
def test_states_are_those_of_the_plain_encoder(extract: Any, reference: Any, text: str) -> None:
    tokens = extract(NO_MEDIA, clip(text))
    ids, expected = states(reference, text)
    assert tokens.ids.tolist() == ids
    np.testing.assert_allclose(tokens.values, expected, atol=2e-5)


@pytest.mark.parametrize("text", TEXTS)
def test_every_piece_knows_its_word(extract: Any, reference: Any, text: str) -> None:
    tokens = extract(NO_MEDIA, clip(text))
    assert tokens.words[0] == tokens.words[-1] == -1
    for index, word in enumerate(words_of(text)):
        mine = tokens.ids[tokens.words == index].tolist()
        assert mine == reference[0](word, add_special_tokens=False)["input_ids"]


def test_capitals_change_nothing_in_an_uncased_encoder(extract: Any) -> None:
    assert same(extract(NO_MEDIA, clip("GREAT MOVIE")), extract(NO_MEDIA, clip("great movie")))


def test_a_word_that_the_tokenizer_drops_has_no_piece(extract: Any) -> None:
    tokens = extract(NO_MEDIA, clip("well \u200d okay"))  # a zero-width joiner stands alone
    assert set(tokens.words.tolist()) == {-1, 0, 2}


def test_words_unknown_to_the_vocabulary_keep_their_place(extract: Any, reference: Any) -> None:
    tokens = extract(NO_MEDIA, clip("so 🐙 nice"))
    assert tokens.ids[tokens.words == 1].tolist() == [reference[0].unk_token_id]


def test_long_texts_lose_nothing(extract: Any, reference: Any) -> None:
    """1500 pieces in an encoder of 512 positions: all are there, and those near the beginning as in a short text."""
    words = ["movie", "was", "great", "and", "then", "bad"] * 250
    tokens = extract(NO_MEDIA, clip(" ".join(words)))
    assert len(tokens.ids) == 1502
    assert tokens.words.tolist() == [-1, *range(1500), -1]
    _, first = states(reference, " ".join(words[:510]))
    np.testing.assert_allclose(tokens.values[:478], first[:478], atol=2e-5)
    assert np.abs(tokens.values).max(axis=1).min() > 0
    whole = extract(NO_MEDIA, clip(" ".join(words[:510])))  # exactly what fits goes through in one piece
    np.testing.assert_allclose(whole.values, first, atol=2e-5)


def test_layers_are_averaged(reference: Any) -> None:
    tokens = BertExtractor(layers=(-1, -2, 0)).open(Resources())(NO_MEDIA, clip(TEXTS[0]))
    expected = np.mean([states(reference, TEXTS[0], layer)[1] for layer in (-1, -2, 0)], axis=0)
    np.testing.assert_allclose(tokens.values, expected, atol=2e-5)


@pytest.mark.parametrize("layers", [(), (7,), (-8,)])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="bert layers"):
        BertExtractor(layers=layers).open(Resources())


def test_values_depend_on_the_clip_alone(extract: Any) -> None:
    first = {text: extract(NO_MEDIA, clip(text)) for text in TEXTS}
    for text in (*reversed(TEXTS), "word " * 700, *TEXTS[::2]):
        tokens = extract(NO_MEDIA, clip(text))
        assert text not in first or same(tokens, first[text])
    again = BertExtractor().open(Resources())
    assert all(same(again(NO_MEDIA, clip(text)), tokens) for text, tokens in first.items())


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_transcript_is_told(extract: Any, text: str) -> None:
    with pytest.raises(ClipError, match="no words") as error:
        extract(NO_MEDIA, clip(text))
    assert error.value.cause == "empty transcript"


def test_identity_follows_the_files_and_not_the_place(tmp_path: Path) -> None:
    copy = tmp_path / "mine"
    shutil.copytree(encoder_folder("minilm"), copy)
    moved = BertExtractor(model=str(copy))
    assert step_identity(moved) == step_identity(BertExtractor())
    tokenizer = copy / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"lowercase":true', '"lowercase": true') + " ")
    assert step_identity(moved) != step_identity(BertExtractor())


def test_a_model_that_is_not_at_hand_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    for call in (BertExtractor(model="no-one/no-such-encoder").weights, lambda: encoder_folder("bert-none")):
        with pytest.raises(UsageError, match=r"hf download .*--text-model"):
            call()
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(UsageError, match="neither"):
        BertExtractor(model=str(tmp_path)).weights()
    with pytest.raises(UsageError, match=r"config\.json"):
        encoder_folder(str(tmp_path.parent))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa of random weights, 16 wide, whose byte-level tokenizer learned a few words; 42 positions."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    folder = tmp_path_factory.mktemp("roberta")
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(["the movie was great and then bad"] * 9, 300, 2, special_tokens=specials)
    trained.save_model(str(folder))
    tokenizer = RobertaTokenizerFast.from_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=42,
    )
    RobertaModel(config).save_pretrained(str(folder))
    return folder


def test_encoders_with_byte_level_tokenizers(roberta: Path) -> None:
    """They mark the space before a word, count positions from 2 on, and have special tokens of their own."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    step = BertExtractor(model=str(roberta))
    assert len(step.feature_names) == 16
    extract = step.open(Resources())
    text = "the movie wasn't great ♥"
    tokens = extract(NO_MEDIA, clip(text))
    inputs = AutoTokenizer.from_pretrained(str(roberta))(f" {text}", return_tensors="pt")
    assert tokens.ids.tolist() == inputs["input_ids"][0].tolist()
    assert tokens.words[[0, -1]].tolist() == [-1, -1]
    assert sorted(set(tokens.words[1:-1].tolist())) == [0, 1, 2, 3, 4]
    model = AutoModel.from_pretrained(str(roberta)).eval()
    with torch.inference_mode():
        expected = model(**inputs).last_hidden_state[0].numpy()
    np.testing.assert_allclose(tokens.values, expected, atol=2e-5)
    for words in (37, 38, 39, 57, 200):  # 38 pieces are all that fit between the special tokens
        long = extract(NO_MEDIA, clip("movie " * words))
        assert long.words.tolist() == [-1, *range(words), -1]


@pytest.mark.parametrize("length", [0, 1, 509, 510, 511, 955, 956, 957, 1500, 5000])
def test_windows_keep_every_piece_once_and_away_from_their_edges(length: int) -> None:
    windows = _windows(length, 510)
    assert [i for _, _, keep in windows for i in range(*keep)] == list(range(length))
    for first, last, (start, end) in windows:
        assert 0 <= last - first <= 510
        assert first <= start <= end <= last
        assert start - first >= 32 or first == 0
        assert last - end >= 32 or last == length


@pytest.mark.needs_weights
def test_bert_base_uncased() -> None:
    try:
        extractor = BertExtractor(model="bert-base-uncased")
        extractor.weights()
    except UsageError as error:
        pytest.skip(str(error))
    tokens = extractor.open(Resources())(NO_MEDIA, clip(TEXTS[0]))
    assert tokens.values.shape == (7, 768)
    assert tokens.ids.tolist() == [101, 1045, 2428, 3866, 2023, 3185, 102]
