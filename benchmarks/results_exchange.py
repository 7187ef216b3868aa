"""What others have, in and out, on real data.

* MOSI's words and labels from its two computational sequences, against the join through the transcripts.
* The version that comes of them, exported and read by the SDK itself.
* MOSI's validation fold from its pickle: imported, and trained on, leave-videos-out as in results_dev229.py, whose row
  it stands beside. The settings and seeds are the same; the numbers come through `mimdata import pickle`.

    python benchmarks/results_exchange.py [--data ../shared/data] [--work .results/exchange] [--jobs 2]

Writes its section of docs/results.md. The SDK is of the test extra (`make setup` installs it).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from pickle import dumps
from typing import Any

import numpy as np
from report import RESULTS, markdown, publish
from results_dev229 import COMMON, FOLDS, SEEDS, SHOWN, spread_of
from trained import Job, measures, trained

import mimdata
from mimdata.pipeline.formats.unpickle import load

MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(".results") / "exchange")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    mosi, store = options.data / "mosi", options.work / "store"
    run("import", "csd", str(mosi), "--corpus", "mosi-csd", "--store", str(store))
    joined = joins(mosi / "segments_words.jsonl", store)
    run("export", "csd", "--corpus", "mosi-csd", "--store", str(store), "-o", str(options.work / "csd"))
    read = by_the_sdk(options.work / "csd", store)
    scores = training(load(mosi / "dev229_misa_form.pkl"), options.work, options.jobs)
    publish(
        "What others have, in and out",
        "benchmarks/results_exchange.py",
        "\n\n".join((_tables(joined, read), _scores(scores))),
        ("mimdata", "cmu-multimodal-sdk", "torch"),
        page=RESULTS,
    )


def run(*call: str) -> None:
    """One command of mimdata."""
    code = subprocess.run([*MIMDATA, *call], check=False).returncode
    if code not in (0, 3):  # 3: done, and some clips were left out
        sys.exit(code)


def rows_of(store: Path, corpus: str) -> Iterator[Mapping[str, Any]]:
    """The rows of the latest version of a corpus."""
    version = mimdata.open(store=store, corpus=corpus)
    for name in version.splits:
        yield from version.split(name).rows()


def joins(published: Path, store: Path) -> dict[str, int]:
    """The version's segments and words against the join through the transcripts."""
    found = {(row["video_id"], row["segment"]): list(row["words"]) for row in rows_of(store, "mosi-csd")}
    counts = {"segments": len(found), "words": sum(map(len, found.values()))}
    expected = [json.loads(line) for line in published.read_text(encoding="utf-8").splitlines()]
    pairs = [
        ([word["w"] for word in one["words"]], found.get((one["video"], one["seg"] - 1), []))
        for one in expected
    ]
    return {
        **counts,
        "published segments": len(pairs),
        "published words": sum(len(wanted) for wanted, _ in pairs),
        "right words": sum((Counter(wanted) & Counter(words)).total() for wanted, words in pairs),
        "exact segments": sum(wanted == words for wanted, words in pairs),
    }


def by_the_sdk(folder: Path, store: Path) -> dict[str, Any]:
    """What the SDK makes of the exported sequences: aligned to words, then to labels."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from mmsdk import mmdatasdk

        files = {name: str(folder / f"{name}.csd") for name in ("words", "text")}
        dataset = mmdatasdk.mmdataset(files)
        dataset.align("words", collapse_functions=[_mean])
        dataset.add_computational_sequences({"labels": str(folder / "labels.csd")}, destination=None)
        dataset.align("labels")
    rows = numbered(rows_of(store, "mosi-csd"))
    text, labels = dataset["text"].data, dataset["labels"].data
    worst, equal = 0.0, 0
    for clip_id, row in rows.items():
        if clip_id not in text or len(text[clip_id]["features"]) != len(row["words"]):
            continue
        equal += 1
        off = np.abs(np.asarray(text[clip_id]["features"]) - np.asarray(row["text_mean"])).max()
        label = abs(float(labels[clip_id]["features"][0, 0]) - row["sentiment"])
        worst = max(worst, float(off), label)
    return {"rows": len(rows), "segments": len(text), "equal": equal, "worst": worst}


def numbered(rows: Iterator[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The rows by the ids that the SDK gives them: it numbers the segments of a video that are there, in order of time."""
    videos: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        videos[row["video_id"]].append(row)
    return {
        f"{video}[{k}]": row
        for video, mine in videos.items()
        for k, row in enumerate(sorted(mine, key=lambda row: (row["start"], row["clip_id"])))
    }


def _mean(_: Any, features: Any) -> Any:
    return features[0] if features.dtype.kind == "S" else np.average(features, axis=0)


def training(rows: Sequence[Any], work: Path, jobs: int) -> list[dict[str, float]]:
    """The measures of the pooled test predictions of each seed."""
    videos = sorted({row[2].partition("[")[0] for row in rows})
    versions = [_imported(rows, videos, i, work) for i in range(FOLDS)]
    calls = [
        Job(f"pickle-{seed}-{i}", version, COMMON | {"seed": seed}, work)
        for seed in SEEDS
        for i, version in enumerate(versions)
    ]
    with ProcessPoolExecutor(jobs) as pool:
        found = list(pool.map(trained, calls))
    parts = [found[k : k + FOLDS] for k in range(0, len(found), FOLDS)]
    return [
        measures(*(np.concatenate([one[name] for one in part]) for name in ("predictions", "labels")))
        for part in parts
    ]


def _imported(rows: Sequence[Any], videos: Sequence[str], i: int, work: Path) -> Path:
    """The folder of a version in which two videos are the test, the next two the validation."""
    test, valid = videos[2 * i : 2 * i + 2], (list(videos) * 2)[2 * i + 2 : 2 * i + 4]
    document: dict[str, list[Any]] = {"train": [], "dev": [], "test": []}
    for row in rows:
        video = row[2].partition("[")[0]
        document["test" if video in test else "dev" if video in valid else "train"].append(row)
    name = f"dev229-{i}"
    path, store = work / f"{name}.pkl", work / "store"
    path.write_bytes(dumps(document))
    run("import", "pickle", str(path), "--corpus", name, "--store", str(store))
    return store / "datasets" / name / mimdata.open(store=store, corpus=name).manifest.version


def _tables(joined: Mapping[str, int], read: Mapping[str, Any]) -> str:
    words, segments = joined["published words"], joined["published segments"]
    share = joined["right words"] / words
    return (
        "MOSI's `CMU_MOSI_ModifiedTimestampedWords.csd` and `CMU_MOSI_Opinion_Labels.csd`, imported, against the join through the "
        "transcripts, which these files do not hold; then exported, and aligned to words and to labels by the SDK.\n\n"
        + markdown(
            ("", "found", "of"),
            [
                ("segments", f"{joined['segments']:,}", f"{segments:,}"),
                ("words", f"{joined['words']:,}", ""),
                ("words of the transcripts in their segment", f"{joined['right words']:,} ({share:.1%})", f"{words:,}"),
                ("segments word for word", f"{joined['exact segments']:,}", f"{segments:,}"),
                ("segments that the SDK reads of the export", f"{read['segments']:,}", f"{read['rows']:,}"),
                ("… with as many words as the version", f"{read['equal']:,}", f"{read['rows']:,}"),
                ("… largest difference of their values and labels", f"{read['worst']:.1e}", ""),
            ],
        )
        + "\n\nThe other segments overlap a neighbour in time: the words at the seam are in both, and the SDK, which goes by time "
        "alone, gives each both copies."
    )  # fmt: skip


def _scores(scores: Sequence[Mapping[str, float]]) -> str:
    cells = [spread_of([one[name] for one in scores]) for name in SHOWN]
    return (
        "MOSI's validation fold from its pickle, trained on: MIM with the settings and seeds of “MOSI's validation fold, "
        "leave-videos-out”, each fold a pickle that `mimdata import pickle` read.\n\n"
        + markdown(("", *SHOWN), [("MIM, imported from the pickle", *cells)])
    )


if __name__ == "__main__":
    main()
