"""Does MIM beat its own ablations on real data? MOSI's validation fold, leave-videos-out, five seeds.

229 utterances of 10 videos with the published word-aligned features (FACET 47, COVAREP 74, z-scored within each
utterance by their publishers) and MiniLM word states (384). Five folds of two test videos, two validation videos and
six training videos; five seeds; all folds' test predictions pooled, so that each seed predicts each utterance once.

    python benchmarks/results_dev229.py [--group choices] [--data ../shared/data] [--work .results] [--jobs 2]

Writes its section of docs/results.md. A script that was stopped goes on where it was; remove --work to start anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from report import RESULTS, markdown, publish
from trained import Floats, Job, measures, trained
from word_aligned import TextEncoder, Utterance, write

SEEDS = (3407, 3408, 3409, 3410, 3411)
FOLDS = 5
COMMON: dict[str, Any] = {"epochs": 40, "patience": 8}
ABLATIONS: dict[str, dict[str, Any]] = {
    "MIM": {},
    "no UPN": {"purify": False},
    "no KGS": {"intra": False, "inter": False},
    "no intra": {"intra": False},
    "no inter": {"inter": False},
    "neither UPN nor KGS": {"purify": False, "intra": False, "inter": False},
    "fusion add": {"fusion": "add"},
    "fusion multiplication": {"fusion": "multiplication"},
    "fusion tensor": {"fusion": "tensor"},
    "text + audio": {"modalities": ("text", "audio")},
    "text + vision": {"modalities": ("text", "vision")},
    "audio + vision": {"modalities": ("audio", "vision")},
    "text": {"modalities": ("text",)},
    "audio": {"modalities": ("audio",)},
    "vision": {"modalities": ("vision",)},
}
WITHOUT: dict[str, Any] = {"purify": False, "intra": False, "inter": False}
CHOICES: dict[str, dict[str, Any]] = {
    "MIM": {},
    "neither UPN nor KGS": WITHOUT,
    "MIM, learning rate 3e-4": {"lr": 3e-4},
    "neither UPN nor KGS, learning rate 3e-4": WITHOUT | {"lr": 3e-4},
    "sequential update": {"update": "sequential"},
    "guidance by batch": {"granularity": "batch"},
    "tempered distillation": {"distillation": "tempered"},
    "penalty 0": {"penalty": 0.0},
    "penalty 1": {"penalty": 1.0},
}
GROUPS = {
    "ablations": ("MOSI's validation fold, leave-videos-out", ABLATIONS),
    "choices": ("MOSI's validation fold: does a choice decide?", CHOICES),
}
SHOWN = ("mae", "corr", "acc2_non0", "f1_non0", "acc2_has0", "acc7")
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(".results"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--group", choices=GROUPS, default="ablations")
    options = parser.parse_args()
    title, variants = GROUPS[options.group]
    utterances = read(options.data / "mosi")
    splits = list(folds(utterances))
    versions = [write(options.work / f"fold{i}", "dev229", split) for i, split in enumerate(splits)]
    jobs = {
        (name, seed, i): Job(
            f"{name.replace(', ', '-').replace(' ', '_')}-{seed}-{i}",
            version,
            COMMON | settings | {"seed": seed},
            options.work,
        )
        for name, settings in variants.items()
        for seed in SEEDS
        for i, version in enumerate(versions)
    }
    with ProcessPoolExecutor(options.jobs) as pool:
        found = dict(zip(jobs, pool.map(trained, jobs.values()), strict=True))
    pooled = {name: [_pooled(found, name, seed) for seed in SEEDS] for name in variants}
    publish(
        title,
        "benchmarks/results_dev229.py"
        + ("" if options.group == "ablations" else f" --group {options.group}"),
        _body(pooled, found, floors(splits) if options.group == "ablations" else {}),
        ("mimdata", "torch"),
        page=RESULTS,
    )


def read(folder: Path) -> list[Utterance]:
    """The fold's utterances, with MiniLM's word states."""
    data = np.load(folder / "dev229_wordaligned.npz", allow_pickle=False)
    encode, ends = TextEncoder(), np.cumsum(data["length"])
    found = []
    for clip_id, label, n, end in zip(data["segment"], data["label"], data["length"], ends, strict=True):
        span = slice(end - n, end)
        values = {"audio": data["acoustic"][span], "vision": data["visual"][span]}
        found.append(encode.utterance(str(clip_id), data["words"][span].tolist(), float(label), values))
    return found


def folds(utterances: Sequence[Utterance]) -> Iterator[dict[str, list[Utterance]]]:
    """Five cuts by video, in alphabetical order: two test videos, the next two for validation, six to train on."""
    videos = sorted({u.video for u in utterances})
    for i in range(FOLDS):
        test, valid = videos[2 * i : 2 * i + 2], (videos * 2)[2 * i + 2 : 2 * i + 4]
        of = {video: "test" if video in test else "valid" if video in valid else "train" for video in videos}
        yield {s: [u for u in utterances if of[u.video] == s] for s in ("train", "valid", "test")}


def floors(splits: Sequence[Mapping[str, Sequence[Utterance]]]) -> dict[str, dict[str, float]]:
    """What needs no MIM: the train mean, and ridge regression on each utterance's mean over its words."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def inputs(mine: Sequence[Utterance], modalities: Sequence[str]) -> Floats:
        rows = [np.concatenate([u.values[m].mean(axis=0) for m in modalities]) for u in mine]
        return np.stack(rows).astype(float)

    def labels(mine: Sequence[Utterance]) -> Floats:
        return np.array([u.sentiment for u in mine])

    target = np.concatenate([labels(split["test"]) for split in splits])
    mean = np.concatenate([np.full(len(s["test"]), labels(s["train"]).mean()) for s in splits])
    found = {"train mean": measures(mean, target)}
    for modalities in (("text",), ("audio",), ("vision",), ("text", "audio", "vision")):
        predicted = []
        for split in splits:
            model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
            model.fit(inputs(split["train"], modalities), labels(split["train"]))
            predicted.append(model.predict(inputs(split["test"], modalities)))
        found[f"ridge, {' + '.join(modalities)}"] = measures(np.concatenate(predicted), target)
    return found


Pooled = tuple[Floats, Floats, list[str]]  # predictions, labels, clip ids of all folds


def _pooled(found: Mapping[Any, Mapping[str, Any]], name: str, seed: int) -> Pooled:
    parts = [found[name, seed, i] for i in range(FOLDS)]
    return (
        np.concatenate([p["predictions"] for p in parts]),
        np.concatenate([p["labels"] for p in parts]),
        [clip_id for p in parts for clip_id in p["clip_ids"]],
    )


def _body(
    pooled: Mapping[str, Sequence[Pooled]],
    found: Mapping[Any, Mapping[str, Any]],
    floor: Mapping[str, Mapping[str, float]],
) -> str:
    """The table: with the floors, or, where there are none, with the gates."""
    rows = [(name, *(f"{floor[name][m]:.3f}" for m in SHOWN), "", "") for name in floor]
    for name, seeds in pooled.items():
        scores = [measures(p, y) for p, y, _ in seeds]
        cells = [spread_of([s[m] for s in scores]) for m in SHOWN]
        runs = [r for (variant, _, _), r in found.items() if variant == name]
        valid = f"{np.mean([r['valid'] for r in runs]):.3f}"
        gates = () if floor else (_open(runs),)
        rows.append((name, *cells, valid, *gates, _difference(pooled, name)))
    columns = ("", *SHOWN, "valid", *(() if floor else ("gates open",)), "MIM better by (MAE)")
    seconds = sum(run["seconds"] for run in found.values())
    about = (
        f"{len(next(iter(pooled.values()))[0][0])} utterances, {FOLDS} folds by video, seeds {', '.join(map(str, SEEDS))}; "
        f"settings {', '.join(f'{k} = {v}' for k, v in COMMON.items())}, all others the defaults; {len(found)} trainings, "
        f"{seconds / 60:.0f} minutes of one core. Mean ± standard deviation over the seeds of the measures of the pooled "
        "test predictions; *valid* is the mean lowest validation loss; "
        f"{'' if floor else '*gates open* is their share in that epoch, by modality; '}*MIM better by* is the paired difference of the "
        "absolute errors, averaged over seeds, with a 95% interval over resampled videos."
    )
    return f"{about}\n\n{markdown(columns, rows)}"


def spread_of(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _open(runs: Sequence[Mapping[str, Any]]) -> str:
    names = runs[0]["open"]
    return ", ".join(f"{name} {np.mean([run['open'][name] for run in runs]):.0%}" for name in names)


def _difference(pooled: Mapping[str, Sequence[Pooled]], name: str) -> str:
    """Mean |error| of a variant less that of MIM on the same utterances and seeds; videos are resampled."""
    if name == "MIM" or "MIM" not in pooled:
        return ""
    worse = np.mean(
        [
            np.abs(p - y) - np.abs(q - y)
            for (p, y, _), (q, _, _) in zip(pooled[name], pooled["MIM"], strict=True)
        ],
        axis=0,
    )
    videos = np.array([clip_id.partition("[")[0] for clip_id in pooled[name][0][2]])
    names, of = np.unique(videos, return_inverse=True)
    sums, counts = np.bincount(of, worse), np.bincount(of)
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return f"{worse.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
