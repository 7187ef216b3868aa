"""How long is a step of training? Ours against a plain transcription of the release's, same sizes, same run.

Batches of random features with the lengths of real utterances (4 to 39 words of at most T = 50) and MiniLM's vocabulary
where the encoder learns too. `transcription.py` is the step that the release means: all rows T long, a sequential
update, attention by explicit products. All are measured in turn.

    python benchmarks/train_step.py [--threads 1] [--batch 16] [--device cuda]

On a GPU, rows for bf16 and torch.compile come in addition. Writes its section of docs/performance.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from report import in_turn, markdown, publish
from transcription import PlainMim, PlainStep

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.config import TrainConfig
from mimdata.mim.device import accelerated
from mimdata.mim.loader import Update
from mimdata.mim.model import Mim
from mimdata.mim.text_encoder import load_text_encoder
from mimdata.mim.update import optimizers, update

DIMS = {"text": 384, "audio": 74, "vision": 47}
STEPS, SHORTEST, LONGEST = 50, 4, 39
BATCHES = 8  # different batches that a measurement goes through


@dataclass(frozen=True)
class Sizes:
    """Utterances a batch, the device, and how often everything is measured."""

    batch: int
    device: torch.device
    times: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = Sizes(options.batch, torch.device(options.device), options.times)
    stored = table(sizes, finetune=False)
    tuned = table(sizes, finetune=True)
    where = (
        torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"CPU, {options.threads} thread(s) of torch"
    )
    publish(
        f"A step of training, {'GPU' if options.device == 'cuda' else 'CPU'}, batch {options.batch}",
        "benchmarks/train_step.py" + _arguments(options),
        f"{where}; dims 384/74/47, d = 80, T = {STEPS}, rows of {SHORTEST} to {LONGEST} words; median of {options.times} "
        f"rounds of {BATCHES} steps. *padded*: every row T long, as on a GPU; *ragged*: to the batch's longest, as on a "
        f"CPU.\n\nStored text features:\n\n{stored}\n\nMiniLM fine-tuned:\n\n{tuned}",
        ("mimdata", "torch", "transformers"),
    )


def table(sizes: Sizes, *, finetune: bool) -> str:
    """All ways to make a step, milliseconds and ratios to the transcription's."""
    runs: dict[str, Callable[[], None]] = {"transcription of the release": plain(sizes, finetune=finetune)}
    base = TrainConfig(device=sizes.device.type, finetune_text=finetune)
    runs["ours, sequential update, padded"] = ours(replace(base, update="sequential"), sizes, padded=True)
    runs["ours, padded"] = ours(base, sizes, padded=True)
    runs["ours, ragged"] = ours(base, sizes, padded=False)
    if sizes.device.type == "cuda":
        runs["ours, padded, bf16"] = ours(replace(base, precision="bf16"), sizes, padded=True)
        runs["ours, padded, compiled"] = ours(replace(base, compile=True), sizes, padded=True)
        runs["ours, padded, bf16, compiled"] = ours(
            replace(base, precision="bf16", compile=True), sizes, padded=True
        )
    seconds = in_turn(list(runs.values()), sizes.times)
    rows = [
        (name, f"{s / BATCHES * 1e3:.1f}", f"{sizes.batch * BATCHES / s:,.0f}", f"{seconds[0] / s:.2f}×")
        for name, s in zip(runs, seconds, strict=True)
    ]
    return markdown(("", "ms a step", "utterances/s", "against the transcription"), rows)


def ours(config: TrainConfig, sizes: Sizes, *, padded: bool) -> Callable[[], None]:
    """Our trainer's update on each batch."""
    torch.manual_seed(0)
    place = accelerated(config.device, config.precision)
    model = place.prepare(_model(config).to(sizes.device))
    if config.compile:
        model.compile()
    both, made = optimizers(model, config), list(batches(sizes, padded=padded, tokens=config.finetune_text))
    model.train()

    def run() -> None:
        for batch in made:
            update(model, Update((batch,), sizes.batch), both, config, place)
        _wait(sizes)

    return run


def plain(sizes: Sizes, *, finetune: bool) -> Callable[[], None]:
    """The transcription's step on each batch, every row T long."""
    torch.manual_seed(0)
    encoder: Any = load_text_encoder("minilm").encoder.to(sizes.device) if finetune else None
    step = PlainStep(PlainMim(DIMS).to(sizes.device).train(), encoder)
    made = list(batches(sizes, padded=True, tokens=finetune))

    def run() -> None:
        for batch in made:
            tokens = batch.tokens and (_to_steps(batch.tokens.ids), _to_steps(batch.tokens.real).long())
            step(batch.values, batch.sentiment[:, None], tokens)
        _wait(sizes)

    return run


def batches(sizes: Sizes, *, padded: bool, tokens: bool) -> Iterator[Batch]:
    """The same random utterances at each call: one word piece a word, between [CLS] and [SEP]."""
    random = np.random.default_rng(0)
    for _ in range(BATCHES):
        lengths = random.integers(SHORTEST, LONGEST + 1, sizes.batch)
        whole = STEPS if padded else int(lengths.max())
        real = np.arange(whole) < lengths[:, None]
        values = {
            m: np.where(real[..., None], random.standard_normal((sizes.batch, STEPS, d))[:, :whole], 0)
            for m, d in DIMS.items()
        }
        valid = torch.from_numpy(real)
        yield Batch(
            {m: torch.from_numpy(v.astype(np.float32)) for m, v in values.items()},
            dict.fromkeys(DIMS, valid),
            torch.from_numpy(lengths),
            torch.from_numpy(random.uniform(-3, 3, sizes.batch).astype(np.float32)),
            torch.zeros(sizes.batch, 0),
            tuple(map(str, range(sizes.batch))),
            _pieces(lengths, random) if tokens else None,
        ).to(sizes.device)


def _pieces(lengths: Any, random: np.random.Generator) -> TokenBatch:
    longest = int(lengths.max()) + 2
    ids = random.integers(1000, 30_000, (len(lengths), STEPS + 2))[:, :longest]
    place = np.arange(longest)[None]
    words = np.where((place > 0) & (place <= lengths[:, None]), place - 1, -1)
    return TokenBatch(
        torch.from_numpy(ids),
        torch.from_numpy(np.broadcast_to(place < lengths[:, None] + 2, ids.shape).copy()),
        torch.from_numpy(np.broadcast_to(words, ids.shape).copy()),
    )


def _to_steps(x: torch.Tensor) -> torch.Tensor:
    """The transcription reads T positions: its text, voice and face rows are of one length."""
    return torch.nn.functional.pad(x, (0, STEPS - x.shape[1])) if x.shape[1] < STEPS else x[:, :STEPS]


def _model(config: TrainConfig) -> Mim:
    encoder = load_text_encoder("minilm") if config.finetune_text else None
    return Mim(config, DIMS, 1, encoder)


def _wait(sizes: Sizes) -> None:
    (torch.cuda.synchronize if sizes.device.type == "cuda" else nullcontext)()


def _arguments(options: argparse.Namespace) -> str:
    defaults = {"threads": 1, "batch": 16, "device": "cpu"}
    return "".join(f" --{k} {getattr(options, k)}" for k, v in defaults.items() if getattr(options, k) != v)


if __name__ == "__main__":
    main()
