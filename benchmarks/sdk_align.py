"""The CMU Multimodal SDK's side of bench_pooling.py: align audio and vision to words, print the seconds.

    python sdk_align.py FOLDER SOURCE

Runs in an environment that knows nothing of mimdata. FOLDER holds words.csd, audio.csd and vision.csd. SOURCE is "files",
the SDK as it comes, or "memory": the sequences are read before the clock starts. The means are left in
FOLDER/SOURCE.npz as `track/video/index` (w,), the words that have some, and `track/video/features` (w, d).
"""

from __future__ import annotations

import sys
import time
import types
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

TRACKS = ("audio", "vision")


def main() -> None:
    folder, source = Path(sys.argv[1]), sys.argv[2]
    with redirect_stdout(sys.stderr):  # it says a lot
        dataset = opened(folder, source)
        began = time.perf_counter()
        dataset.align("words", collapse_functions=[mean])
        seconds = time.perf_counter() - began
    np.savez(folder / f"{source}.npz", **aligned(dataset))
    print(seconds)


def mean(intervals: Any, features: Any) -> Any:  # noqa: ARG001  # what the SDK calls
    """As the SDK's documentation writes it."""
    return np.average(features, axis=0)


def opened(folder: Path, source: str) -> Any:
    package = types.ModuleType("mmsdk")  # imported as it is, it would import its models and so torch
    package.__path__ = list(find_spec("mmsdk").submodule_search_locations)
    sys.modules["mmsdk"] = package
    from mmsdk import mmdatasdk

    dataset = mmdatasdk.mmdataset({name: str(folder / f"{name}.csd") for name in ("words", *TRACKS)})
    if source == "memory":
        for sequence in dataset.computational_sequences.values():
            sequence.data = {
                name: {key: entry[key][()] for key in ("intervals", "features")}
                for name, entry in sequence.data.items()
            }
    return dataset


def aligned(dataset: Any) -> dict[str, Any]:
    words: dict[str, dict[int, Any]] = {}
    for track in TRACKS:
        for name, entry in dataset[track].data.items():
            video, _, word = name.rstrip("]").partition("[")
            words.setdefault(f"{track}/{video}", {})[int(word)] = entry["features"][0]
    index = {f"{name}/index": np.array(list(found)) for name, found in words.items()}
    return index | {f"{name}/features": np.stack(list(found.values())) for name, found in words.items()}


if __name__ == "__main__":
    main()
