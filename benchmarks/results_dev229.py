"""Does MIM beat its own ablations on real data? MOSI's validation fold, leave-videos-out, five seeds.

229 utterances of 10 videos with the published word-aligned features (FACET 47, COVAREP 74, z-scored within each
utterance by their publishers) and MiniLM word states (384). Five folds of two test videos, two validation videos and
six training videos; five seeds; all folds' test predictions pooled, so that each seed predicts each utterance once.

    python benchmarks/results_dev229.py [--data ../shared/data] [--work .results] [--jobs 2] [--set lr=0.0003]

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
from word_aligned import MiniLm, Utterance, write

SEEDS = (3407, 3408, 3409, 3410, 3411)
FOLDS = 5
COMMON: dict[str, Any] = {"epochs": 40, "patience": 8}
VARIANTS: dict[str, dict[str, Any]] = {
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
SHOWN = ("mae", "corr", "acc2_non0", "f1_non0", "acc2_has0", "acc7")
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(".results"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), help="variants")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every variant")
    parser.add_argument("--title", default="MOSI's validation fold, leave-videos-out")
    options = parser.parse_args()
    utterances = read(options.data / "mosi")
    splits = list(folds(utterances))
    versions = [write(options.work / f"fold{i}", "dev229", split) for i, split in enumerate(splits)]
    common = COMMON | _assigned(options.set)
    jobs = {
        (name, seed, i): Job(
            _file_name(name, seed, i, options.set),
            version,
            common | VARIANTS[name] | {"seed": seed},
            options.work,
        )
        for name in options.only
        for seed in SEEDS
        for i, version in enumerate(versions)
    }
    with ProcessPoolExecutor(options.jobs) as pool:
        found = dict(zip(jobs, pool.map(trained, jobs.values()), strict=True))
    pooled = {name: [_pooled(found, name, seed) for seed in SEEDS] for name in options.only}
    publish(
        options.title,
        f"benchmarks/results_dev229.py{' --set ' + ' '.join(options.set) if options.set else ''}",
        _body(pooled, floors(splits), found, common),
        ("mimdata", "torch"),
        page=RESULTS,
    )


def read(folder: Path) -> list[Utterance]:
    """The fold's utterances, with MiniLM's word states."""
    data = np.load(folder / "dev229_wordaligned.npz", allow_pickle=False)
    encode, ends = MiniLm(), np.cumsum(data["length"])
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
    floor: Mapping[str, Mapping[str, float]],
    found: Mapping[Any, Mapping[str, Any]],
    common: Mapping[str, Any],
) -> str:
    rows = [(name, *(f"{floor[name][m]:.3f}" for m in SHOWN), "", "") for name in floor]
    for name, seeds in pooled.items():
        scores = [measures(p, y) for p, y, _ in seeds]
        cells = [_spread([s[m] for s in scores]) for m in SHOWN]
        runs = [r for (variant, _, _), r in found.items() if variant == name]
        rows.append((name, *cells, f"{np.mean([r['valid'] for r in runs]):.3f}", _difference(pooled, name)))
    seconds = sum(run["seconds"] for run in found.values())
    about = (
        f"{len(next(iter(pooled.values()))[0][0])} utterances, {FOLDS} folds by video, seeds {', '.join(map(str, SEEDS))}; "
        f"settings {', '.join(f'{k} = {v}' for k, v in common.items())}, all others the defaults; {len(found)} trainings, "
        f"{seconds / 60:.0f} minutes of one core. Mean ± standard deviation over the seeds of the measures of the pooled "
        "test predictions; *valid* is the mean lowest validation loss; *MIM better by* is the paired difference of the "
        "absolute errors, averaged over seeds, with a 95% interval over resampled videos."
    )
    return f"{about}\n\n{markdown(('', *SHOWN, 'valid', 'MIM better by (MAE)'), rows)}"


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


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


def _assigned(assignments: Sequence[str]) -> dict[str, Any]:
    from mimdata.mim.config import parse_value

    return {key: parse_value(raw) for key, _, raw in (a.partition("=") for a in assignments)}


def _file_name(name: str, seed: int, fold: int, assignments: Sequence[str]) -> str:
    return "-".join([name.replace(" ", "_"), *assignments, str(seed), str(fold)])


if __name__ == "__main__":
    main()
