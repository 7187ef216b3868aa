"""How far do words alone go? All of MOSI's text with the official folds, MiniLM frozen and fine-tuned.

1,284 / 229 / 686 utterances, text only. The frozen encoder's word states are stored; fine-tuned, the encoder learns
with the rest at a rate that the validation fold chooses with the first seed. Floors: the train mean, and ridge
regression on each utterance's mean word state.

    python benchmarks/results_mosi_text.py [--data ../shared/data] [--work .results] [--jobs 1]

Writes its section of docs/results.md. A script that was stopped goes on where it was; remove --work to start anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from report import RESULTS, markdown, publish
from trained import Floats, Job, measures, trained
from word_aligned import TextEncoder, Utterance, write

from mimdata.pipeline.records import words_of

SPLITS = ("train", "valid", "test")
SEEDS = (3407, 3408, 3409, 3410, 3411)
TEXT_RATES = (2e-5, 5e-5, 1e-4)
FROZEN: dict[str, Any] = {"modalities": ("text",), "epochs": 40, "patience": 8}
TUNED: dict[str, Any] = {"modalities": ("text",), "finetune_text": True, "epochs": 6, "patience": 2}
WITHOUT = {"purify": False, "intra": False, "inter": False}  # one modality has no inter-modal guidance anyway
SHOWN = ("mae", "corr", "acc2_non0", "f1_non0", "acc2_has0", "f1_has0", "acc7")

Rows = dict[str, Sequence[Mapping[str, Any]]]  # the trainings of each row of the table, one a seed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(".results"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tuned-seeds", type=int, default=3, help="trainings of the fine-tuned encoder")
    options = parser.parse_args()
    splits = read(options.data / "mosi")
    version = write(options.work / "mosi_text", "mosi_text", splits)
    with ProcessPoolExecutor(options.jobs) as pool:
        rows = frozen(pool, version, options.work)
        tuned, rates = fine_tuned(pool, version, options.work, options.tuned_seeds)
    publish(
        "All of MOSI's text",
        "benchmarks/results_mosi_text.py",
        _body(splits, rows | tuned, rates),
        ("mimdata", "torch", "transformers"),
        page=RESULTS,
    )


def read(folder: Path) -> dict[str, list[Utterance]]:
    """The utterances of each official split, with MiniLM's word states; ids count from 0, as in `video[k]`."""
    encode = TextEncoder()
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    with (folder / "segments_words.jsonl").open(encoding="utf-8") as lines:
        for segment in map(json.loads, lines):
            clip_id = f"{segment['video']}[{segment['seg'] - 1}]"
            words = words_of(segment["text"].lower())
            found[segment["split"]].append(encode.utterance(clip_id, words, segment["label"], {}))
    return found


def frozen(pool: Executor, version: Path, work: Path) -> Rows:
    """Five trainings on stored word states with MIM's purification and guidance, and five without."""
    kinds = {"MIM, frozen MiniLM": {}, "without UPN and KGS, frozen MiniLM": WITHOUT}
    return {
        name: list(
            pool.map(trained, (_job(name, version, work, FROZEN | extra | {"seed": seed}) for seed in SEEDS))
        )
        for name, extra in kinds.items()
    }


def fine_tuned(pool: Executor, version: Path, work: Path, seeds: int) -> tuple[Rows, dict[float, float]]:
    """Trainings of the encoder too, at the rate with the lowest validation loss; and those losses by rate."""

    def job(rate: float, seed: int) -> Job:
        return _job(f"MIM, tuned at {rate:g}", version, work, TUNED | {"text_lr": rate, "seed": seed})

    first = list(pool.map(trained, (job(rate, SEEDS[0]) for rate in TEXT_RATES)))
    losses = {rate: float(run["valid"]) for rate, run in zip(TEXT_RATES, first, strict=True)}
    best = min(losses, key=losses.__getitem__)
    runs = list(pool.map(trained, (job(best, seed) for seed in SEEDS[:seeds])))
    return {f"MIM, MiniLM fine-tuned at {best:g}": runs}, losses


def _job(name: str, version: Path, work: Path, settings: Mapping[str, Any]) -> Job:
    file = f"mosi_text-{name.replace(', ', '-').replace(' ', '_')}-{settings['seed']}"
    return Job(file, version, settings, work)


def floors(splits: Mapping[str, Sequence[Utterance]]) -> dict[str, dict[str, float]]:
    """The train mean, and ridge regression whose penalty the validation split chooses."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = {
        s: np.stack([u.values["text"].mean(axis=0) for u in mine]).astype(float) for s, mine in splits.items()
    }
    labels: dict[str, Floats] = {s: np.array([u.sentiment for u in mine]) for s, mine in splits.items()}
    models = [
        make_pipeline(StandardScaler(), Ridge(penalty)).fit(inputs["train"], labels["train"])
        for penalty in np.logspace(0, 5, 11)
    ]
    best = min(models, key=lambda m: np.abs(m.predict(inputs["valid"]) - labels["valid"]).mean())
    constant = np.full(len(labels["test"]), labels["train"].mean())
    return {
        "train mean": measures(constant, labels["test"]),
        "ridge on the mean word state": measures(best.predict(inputs["test"]), labels["test"]),
    }


def _body(splits: Mapping[str, Sequence[Utterance]], rows: Rows, rates: Mapping[float, float]) -> str:
    lines = [(name, *(f"{s[m]:.3f}" for m in SHOWN), "", "") for name, s in floors(splits).items()]
    for name, runs in rows.items():
        scores = [measures(np.array(run["predictions"]), np.array(run["labels"])) for run in runs]
        cells = [_spread([s[m] for s in scores]) for m in SHOWN]
        lines.append((name, *cells, _spread([run["valid"] for run in runs]), len(runs)))
    sizes = " / ".join(f"{len(splits[s]):,}" for s in SPLITS)
    longer = sum(len(u.words) > 50 for mine in splits.values() for u in mine)
    chosen = ", ".join(f"{loss:.3f} at {rate:g}" for rate, loss in rates.items())
    seconds = sum(run["seconds"] for runs in rows.values() for run in runs)
    about = (
        f"{sizes} utterances, the official folds; {longer} of them are longer than the 50 steps and are cut. Frozen: "
        f"{_settings(FROZEN)}. Fine-tuned: {_settings(TUNED)}. All other settings are the defaults. Rate of the encoder "
        f"by the lowest validation loss with seed {SEEDS[0]}: {chosen}. {seconds / 60:.0f} minutes of one core for the "
        "rows shown. Mean ± standard deviation over the seeds of the test measures; *valid* is the lowest validation "
        "loss, which chose each run's epoch."
    )
    return f"{about}\n\n{markdown(('', *SHOWN, 'valid', 'seeds'), lines)}"


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"`{k} = {v}`" for k, v in settings.items() if k not in ("modalities", "finetune_text"))


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    main()
