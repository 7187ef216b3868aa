"""CTC models for tests, made on the spot: one that hears tones as letters, and others that know nothing."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
)

from mimdata.pipeline.records import Float32

LETTERS = "adehilnorstuw'é"
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
RATE, STRIDE, KERNEL = 16_000, 320, 400
PITCHES = {letter: 480 + 320 * i for i, letter in enumerate(LETTERS)}  # Hz; whole periods in KERNEL samples


def vocabulary(letters: str = LETTERS) -> dict[str, int]:
    return {token: i for i, token in enumerate((*SPECIAL, *letters))}


def save(folder: Path, model: Any, vocab: object) -> Path:
    """A model's folder as the hub has them."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    settings = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "word_delimiter_token": "|", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def tone_model() -> Any:
    """Hears the letter whose pitch sounds, and blank in silence.

    One convolution compares 25 ms with each pitch, by cosine and sine and their negatives; what rises above the
    others is a letter. The transformer after it adds nothing.
    """
    n = len(LETTERS) + 1  # one that stays silent: heads must divide
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary()), hidden_size=n, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
        conv_dim=(4 * n,), conv_kernel=(KERNEL,), conv_stride=(STRIDE,), num_feat_extract_layers=1, pad_token_id=0,
        feat_extract_norm="layer", num_conv_pos_embeddings=3, num_conv_pos_embedding_groups=1, layer_norm_eps=0.05,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config).eval()
    time = torch.arange(KERNEL) / RATE
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "layer_norm" not in name and not name.endswith("original1"):  # a direction, which has a length
                weights.zero_()
        convolution = model.wav2vec2.feature_extractor.conv_layers[0].conv.weight
        for i, pitch in enumerate(PITCHES.values()):
            angle = 2 * torch.pi * pitch * time
            waves = torch.stack([angle.cos(), -angle.cos(), angle.sin(), -angle.sin()])
            convolution[4 * i : 4 * i + 4, 0] = waves * 2e-4
            model.wav2vec2.feature_projection.projection.weight[i, 4 * i : 4 * i + 4] = 1.0
        model.lm_head.weight[len(SPECIAL) :] = 5 * torch.eye(n)[:-1]
        model.lm_head.bias.fill_(-9.0)
        model.lm_head.bias[0], model.lm_head.bias[len(SPECIAL) :] = 8.0, 0.0
    return model


def random_model(vocab_size: int, head: bool = True, **more: Any) -> Any:
    """A small model that knows nothing, with the strides of those that are published."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=vocab_size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, pad_token_id=0, **more,
    )  # fmt: skip
    return (Wav2Vec2ForCTC if head else Wav2Vec2Model)(config).eval()


def spoken(
    text: str, letter: float = 0.08, gap: float = 0.2, before: float = 0.5
) -> tuple[Float32, list[list[float]]]:
    """A text in tones, `letter` seconds each with 20 ms between equal ones, and [start, end] of each word."""
    sound, at, times = [np.zeros(round(before * RATE))], before, []
    for word in text.lower().split():
        start = at
        for i, character in enumerate(word):
            if i and word[i - 1] == character:
                sound.append(np.zeros(round(0.06 * RATE)))
                at += 0.06
            sound.append(
                0.3 * np.sin(2 * np.pi * PITCHES[character] * np.arange(round(letter * RATE)) / RATE)
            )
            at += letter
        times.append([start, at])
        sound.append(np.zeros(round(gap * RATE)))
        at += gap
    return np.concatenate(sound).astype(np.float32), times


def write(path: Path, samples: Float32) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path
