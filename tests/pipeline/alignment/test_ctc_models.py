"""CTC models as people bring them: of other kinds, with adapters of languages, incomplete, or no CTC models at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, HubertConfig, HubertForCTC

from mimdata.pipeline.alignment.ctc import CtcAligner
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Words, WordStatus
from mimdata.pipeline.steps import Resources
from tests.command import Command
from tests.pipeline.alignment.ctc_models import random_model, save, spoken, tone_model, vocabulary, write

TEXT = "the hotel was wooden"


def align(model: Path, path: Path, language: str | None = None) -> Words:
    opened = CtcAligner(str(model), language).open(Resources())
    media = Media(path, None, None, audio=True, fps=())
    return opened(media, Clip("v[0]", "v", 0, path.name, None, None, TEXT, "de"))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write(tmp_path / "sound.wav", spoken(TEXT)[0])


def test_other_families_are_read(sound: Path, tmp_path: Path) -> None:
    config = HubertConfig(
        vocab_size=len(vocabulary()), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, conv_dim=(8,) * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    words = align(save(tmp_path / "hubert", HubertForCTC(config).eval(), vocabulary()), sound)
    assert words.source == "ctc"
    assert words.status.tolist() == [WordStatus.ALIGNED] * 4


def test_weights_as_they_were_published_are_read(sound: Path, tmp_path: Path) -> None:
    """Pickled, the convolution of positions under its old names, and without what only training reads."""
    folder = save(tmp_path / "old", tone_model(), vocabulary())
    (folder / "model.safetensors").unlink()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): weights
        for name, weights in tone_model().state_dict().items()
        if not name.endswith("masked_spec_embed")
    }
    assert {name.rpartition(".")[2] for name in old} >= {"weight_g", "weight_v"}
    torch.save(old, folder / "pytorch_model.bin")
    assert "pytorch_model.bin" in CtcAligner(str(folder)).weights()
    assert align(folder, sound).confidence.min() > 0.99


def languages(folder: Path) -> Path:
    """A model with adapters of two languages, which write different letters."""
    letters = {"eng": vocabulary("adehlnotw"), "deu": vocabulary("adehlnotwsäöü"), "fra": vocabulary("éè")}
    save(folder, random_model(len(letters["eng"]), adapter_attn_dim=4), letters)
    for code, seed in (("eng", 0), ("deu", 1)):
        model = random_model(len(letters[code]), adapter_attn_dim=4)
        random = np.random.default_rng(seed)
        weights = {name: w + float(random.normal()) for name, w in model._get_adapters().items()}
        save_file(
            {name: w.detach().contiguous() for name, w in weights.items()},
            folder / f"adapter.{code}.safetensors",
        )
    return folder


def test_a_language_is_an_adapter_with_letters_of_its_own(sound: Path, tmp_path: Path) -> None:
    folder = languages(tmp_path / "mms")
    german, english = CtcAligner(str(folder), "deu"), CtcAligner(str(folder), "eng")
    assert "adapter.deu.safetensors" in german.weights()
    assert "adapter.deu.safetensors" not in english.weights()
    assert "ö" in german.open(Resources()).model.alphabet.characters  # type: ignore[attr-defined]
    assert "s" not in english.open(Resources()).model.alphabet.characters  # type: ignore[attr-defined]
    assert align(folder, sound, "deu").source == "ctc"
    assert align(folder, sound, "deu").confidence.tolist() != align(folder, sound, "eng").confidence.tolist()


def without(name: str) -> Callable[[Path], Path]:
    def broken(folder: Path) -> Path:
        (save(folder, tone_model(), vocabulary()) / name).unlink()
        return folder

    return broken


def with_setting(file: str, **values: Any) -> Callable[[Path], Path]:
    def broken(folder: Path) -> Path:
        path = save(folder, tone_model(), vocabulary()) / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
        return folder

    return broken


def with_text(file: str, text: str) -> Callable[[Path], Path]:
    def broken(folder: Path) -> Path:
        (save(folder, tone_model(), vocabulary()) / file).write_text(text)
        return folder

    return broken


def headless(folder: Path) -> Path:
    path = save(folder, random_model(20, head=False), vocabulary()) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": None}))
    return folder


def damaged(folder: Path) -> Path:
    (save(folder, tone_model(), vocabulary()) / "model.safetensors").write_bytes(b"nothing of the kind")
    return folder


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no head": (lambda f: save(f, random_model(20, head=False), vocabulary()), "give a model that was fine-tuned with CTC"),
    "no head, which nothing says": (headless, "lacks 2 of the model's weights, lm_head.bias among them"),
    "no JSON": (with_text("config.json", "{"), "config.json cannot be read"),
    "no table": (with_text("vocab.json", "[1]"), "vocab.json is no table of names"),
    "another kind": (lambda f: save(f, BertModel(BertConfig(vocab_size=20, hidden_size=12)), vocabulary()), "holds a BertModel: give a model that was fine-tuned"),
    "no vocabulary": (without("vocab.json"), "has no vocabulary, so it cannot spell: it holds no vocab.json"),
    "no config": (without("config.json"), "is no model: it holds no config.json"),
    "no weights": (without("model.safetensors"), "holds neither model*.safetensors nor pytorch_model*.bin"),
    "no scale": (without("preprocessor_config.json"), "cannot be read as a CTC model"),
    "damaged": (damaged, "cannot be read as a CTC model: SafetensorError"),
    "no letters": (lambda f: save(f, random_model(8), {**vocabulary(""), "1": 5, "2": 6}), "writes no letters"),
    "too many letters": (lambda f: save(f, random_model(9), vocabulary()), "vocab.json holds more characters than the model's 9"),
    "many languages": (languages, "writes 3 languages, and none is chosen"),
    "other rate": (with_setting("preprocessor_config.json", sampling_rate=8000), "reads 8000 samples a second"),
    "fewer frames": (lambda f: save(f, random_model(20, add_adapter=True, output_hidden_size=16), vocabulary()), "its times cannot be told"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_model_that_cannot_align_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, expected = WRONG[kind]
    aligner = CtcAligner(str(make(tmp_path / "model")))
    with pytest.raises(UsageError) as caught:
        _ = aligner.weights(), aligner.open(Resources())
    assert expected in str(caught.value)
    assert str(tmp_path / "model") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_adapter_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    folder = languages(tmp_path / "mms")
    with pytest.raises(UsageError, match=r"no adapter\.fra\.safetensors: .* what is there: deu, eng"):
        CtcAligner(str(folder), "fra").weights()
    with pytest.raises(
        UsageError, match=r"writes 3 languages, and 'ita' is not among them: .* such as deu, eng, fra"
    ):
        CtcAligner(str(folder), "ita").weights()
    plain = save(tmp_path / "plain", tone_model(), vocabulary())
    with pytest.raises(UsageError, match="the model has no adapters"):
        CtcAligner(str(plain), "fra").weights()


def test_a_window_too_short_for_its_overlaps_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "tones", tone_model(), vocabulary())
    with pytest.raises(UsageError, match="window must be 8 s or more, not 5"):
        CtcAligner(str(folder), window=5.0).open(Resources())


def cached(home: Path, name: str) -> None:
    """A model under its hub name, as a download leaves it."""
    place = home / "hub" / f"models--{name.replace('/', '--')}"
    (place / "snapshots").mkdir(parents=True)
    save(place / "snapshots" / ("a" * 40), tone_model(), vocabulary())
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("a" * 40)


def test_the_command_aligns_with_a_model_and_says_where_one_is_missing(sound: Path, tmp_path: Path) -> None:
    cached(tmp_path / "cache", "someone/tones")
    (tmp_path / "manifest.csv").write_text(f"source,text,split\n{sound.name},{TEXT},train\n")
    command = Command(tmp_path, (("HF_HOME", str(tmp_path / "cache")),))
    common = ("--modality", "audio", "--workers", "0")
    command("extract", "--corpus", "manifest", "--root", str(tmp_path), *common)
    absent = command("align", "--aligner", "ctc", *common, code=2).err
    assert "`hf download facebook/wav2vec2-base-960h`, or give its folder with --set aligner.model" in absent
    assert absent.count("\n") == 1
    other = save(tmp_path / "other", random_model(20, head=False), vocabulary())
    wrong = command("align", "--aligner", "ctc", "--set", f"aligner.model={other}", *common, code=2).err
    assert "fine-tuned with CTC" in wrong
    assert "Traceback" not in wrong
    command("align", "--aligner", "ctc", "--set", "aligner.model=someone/tones", *common)
    (shard,) = (tmp_path / ".mimdata" / "datasets").rglob("train-*.parquet")
    (row,) = pq.read_table(shard).to_pylist()
    found = np.array([row["word_start"], row["word_end"]]).T
    assert np.abs(found - spoken(TEXT)[1]).max() <= 0.0201
