"""A Hugging Face CTC model in memory: sound in, log-probabilities of its characters out, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from mimdata.pipeline.alignment.ctc_files import VOCABULARY
from mimdata.pipeline.alignment.ctc_spelling import Alphabet, Indices
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.media import SAMPLE_RATE
from mimdata.pipeline.records import Float32

# Seconds that two windows share: each frame is taken from where it stands 2 s from the window's edge, or more.
OVERLAP = 4.0
SHORTEST_WINDOW = 2 * OVERLAP
# What published weights leave out because only training reads it.
TRAINING_ONLY = ("masked_spec_embed",)
# Windows of one clip in one forward pass. On a CPU a batch gains nothing, and rounds otherwise than its windows alone.
TOGETHER = {"cpu": 1}
TOGETHER_ELSEWHERE = 8
EDGE_FRAMES = 2  # what the ends of a sound may cost: convolutions need 25 ms for one frame

Window = tuple[int, int, slice]  # samples [first, last), and the frames that are kept of it


class CtcModel:
    """One model. What it says of a sound depends on that sound alone: a forward pass has windows of one clip."""

    def __init__(self, folder: Path, language: str | None, window: float, device: str) -> None:
        if not window >= SHORTEST_WINDOW:
            raise UsageError(f"the aligner's window must be {SHORTEST_WINDOW:g} s or more, not {window:g}")
        with _reading(folder):
            self._extractor, tokenizer, self._model = _load(folder, language)
        self._model.eval().to(device)
        self._device = device
        self._together = TOGETHER.get(device, TOGETHER_ELSEWHERE)
        self._ratio = self._samples_a_frame(folder)
        self.stride = self._ratio / SAMPLE_RATE  # seconds
        self._window = round(window * SAMPLE_RATE / self._ratio) * self._ratio
        self._overlap = round(OVERLAP * SAMPLE_RATE / self._ratio / 2) * 2 * self._ratio
        self.alphabet = _alphabet(folder, tokenizer, self._model.config)
        self._check(folder)

    def log_probs(self, audio: Float32, columns: Indices) -> Float32:
        """audio (n,) mono at 16 kHz, and which columns (k,) of the vocabulary are wanted → (t, k) at every stride."""
        sound = self._extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="np")["input_values"][0]
        parts: list[Float32] = []
        for windows in self._passes(len(sound)):
            found = self._logits(np.stack([sound[first:last] for first, last, _ in windows]), columns)
            parts += [logits[keep] for logits, (_, _, keep) in zip(found, windows, strict=True)]
        return np.concatenate(parts)

    def _passes(self, samples: int) -> Iterator[list[Window]]:
        """The windows over so many samples, some of one length at a time."""
        for _, alike in groupby(self._windows(samples), key=lambda window: window[1] - window[0]):
            while together := list(islice(alike, self._together)):
                yield together

    def _windows(self, samples: int) -> list[Window]:
        """Windows [first, last) over so many samples, and the frames that each keeps: halfway into overlaps."""
        if samples <= self._window:
            return [(0, samples, slice(None))]
        step = self._window - self._overlap
        firsts = range(0, samples - self._overlap, step)
        half = self._overlap // 2 // self._ratio
        until = [half + step // self._ratio] * (len(firsts) - 1) + [None]
        return [
            (first, min(first + self._window, samples), slice(half if first else 0, end))
            for first, end in zip(firsts, until, strict=True)
        ]

    def _logits(self, sounds: Float32, columns: Indices) -> Float32:
        """sounds (n, samples) → (n, t, k)."""
        import torch

        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(sounds, np.float32)).to(self._device)
            logits = self._model(inputs).logits.float()
            chosen = torch.log_softmax(logits, dim=-1)[..., torch.from_numpy(columns).to(self._device)]
        found: Float32 = chosen.cpu().numpy()
        return found

    def _samples_a_frame(self, folder: Path) -> int:
        ratio = getattr(self._model.config, "inputs_to_logits_ratio", None)
        if ratio is None or "input_values" not in self._extractor.model_input_names:
            raise UsageError(
                f"{folder} holds a {self._model.config.model_type} model, which does not read samples of sound: "
                "give one of the wav2vec 2.0 family (docs/alignment.md)"
            )
        if self._extractor.sampling_rate != SAMPLE_RATE:
            raise UsageError(
                f"{folder} reads {self._extractor.sampling_rate} samples a second, our sound has {SAMPLE_RATE}: "
                "give a model for 16 kHz (docs/alignment.md)"
            )
        return int(ratio)

    def _check(self, folder: Path) -> None:
        """Try a second of silence. Raises UsageError if its frames are not as many as the configuration says."""
        frames = self._logits(np.zeros((1, SAMPLE_RATE), np.float32), np.arange(1)).shape[1]
        if abs(frames - SAMPLE_RATE / self._ratio) > EDGE_FRAMES:
            raise UsageError(
                f"{folder} makes {frames} frames of a second of sound, where its configuration says "
                f"{SAMPLE_RATE / self._ratio:g}: its times cannot be told"
            )


def _load(folder: Path, language: str | None) -> tuple[Any, Any, Any]:
    """Feature extractor, tokenizer and model. Raises UsageError if the model was not trained with CTC."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

    chosen = {} if language is None else {"target_lang": language}
    extractor = AutoFeatureExtractor.from_pretrained(str(folder), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, **chosen)
    model, report = AutoModelForCTC.from_pretrained(
        str(folder),
        local_files_only=True,
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
    )
    absent = sorted(name for name in report["missing_keys"] if not name.endswith(TRAINING_ONLY))
    if absent:
        raise UsageError(
            f"{folder} lacks {len(absent)} of the model's weights, {absent[0]} among them: "
            "give a model that was fine-tuned with CTC (docs/alignment.md)"
        )
    if language is not None:
        model.load_adapter(language, local_files_only=True)
    return extractor, tokenizer, model


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Loading without bars and reports; what goes wrong in it is a UsageError of one line."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, LookupError, RuntimeError, ImportError, TypeError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{folder} cannot be read as a CTC model: {type(error).__name__}: {first} (docs/alignment.md)"
        ) from error
    finally:
        logging.set_verbosity(level)


def _alphabet(folder: Path, tokenizer: Any, config: Any) -> Alphabet:
    """What the model writes. Raises UsageError if that is not letters."""
    found: Mapping[str, int] = tokenizer.get_vocab()
    delimiter = getattr(tokenizer, "word_delimiter_token", None) or ""
    blank = tokenizer.pad_token_id if config.pad_token_id is None else config.pad_token_id
    apart = {delimiter, *tokenizer.all_special_tokens}
    characters = {text: column for text, column in found.items() if len(text) == 1 and text not in apart}
    if hasattr(tokenizer, "phonemize") or not any(map(str.isalpha, characters)):
        raise UsageError(f"{folder} writes no letters: give a model that spells (docs/alignment.md)")
    if max(blank, *characters.values()) >= config.vocab_size:
        raise UsageError(f"{folder}: {VOCABULARY} holds more characters than the model's {config.vocab_size}")
    return Alphabet(characters, found.get(delimiter), blank)
