"""How fast are faces found? Ours against facenet-pytorch's MTCNN, frame by frame with its defaults and in batches.

Frames at 5 a second of GRID's films (--data) and of films of the demo corpus. One thread. Agreement is that of the most probable
face of each frame with the one that the library finds with its defaults: both find one, and the boxes overlap by at
least 0.9 of their union, or neither finds any.

    python benchmarks/bench_faces.py [--data ../shared/data]

Writes its section of docs/performance.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from facenet_pytorch import MTCNN
from report import in_turn, markdown, publish

from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.extractors.face_detector import Detector
from mimdata.pipeline.extractors.facenet import BATCH, SMALLEST, FacenetExtractor
from mimdata.pipeline.media import Media

FPS, ALIKE = 5.0, 0.9
Frames = npt.NDArray[np.uint8]
Box = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    data = parser.parse_args().data
    torch.set_num_threads(1)
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        build_demo(Path(folder), utterances=12, videos=3)
        films = {"the demo's films": sorted(Path(folder).rglob("*.mp4"))}
        grid = sorted((data / "clips" / "grid").glob("*.mpg"))
        if grid:
            films["GRID"] = grid
        for name, files in films.items():
            tables.append(_table(name, [clip for file in files if len(clip := _frames(file))]))
    publish(
        "Faces", "benchmarks/bench_faces.py", "\n\n".join(tables), ("mimdata", "torch", "facenet-pytorch")
    )


def _frames(file: Path) -> Frames:
    frames = Media(file, None, None, audio=False, fps={FPS}).frames(FPS)
    return np.stack([frame.image for frame in frames if frame.image is not None])


def _table(name: str, clips: Sequence[Frames]) -> str:
    """The three ways on these clips, in turn."""
    step, library = FacenetExtractor(), MTCNN(keep_all=True)
    detector = Detector(step.thresholds, "cpu")
    smallest = max(SMALLEST, round(step.min_face * min(clips[0].shape[1:3])))
    found: dict[str, list[Box | None]] = {}

    def run(way: str, faces: Callable[[Frames], list[Box | None]]) -> Callable[[], None]:
        def go() -> None:
            found[way] = [box for clip in clips for box in faces(clip)]

        return go

    ways = {
        "MTCNN, frame by frame, its defaults": lambda c: [_best(*library.detect(image)) for image in c],
        "MTCNN, batches, its defaults": lambda c: [
            _best(*each) for part in _batches(c) for each in zip(*library.detect(part), strict=True)
        ],
        "ours": lambda c: [
            max(faces, key=lambda face: face.probability).box if faces else None
            for part in _batches(c)
            for faces in detector(part, smallest)
        ],
    }
    seconds = in_turn([run(way, faces) for way, faces in ways.items()])
    count = sum(map(len, clips))
    reference = found["MTCNN, frame by frame, its defaults"]
    rows = [
        (way, f"{count / s:.1f}", f"{seconds[0] / s:.2f}×", f"{_agreement(found[way], reference):.2%}")
        for way, s in zip(ways, seconds, strict=True)
    ]
    height, width = clips[0].shape[1:3]
    about = f"{name}: {count} frames of {width}×{height} from {len(clips)} clips, faces from the level nearest to {smallest} pixels on in ours (20 in the library's)."
    return f"{about}\n\n" + markdown(("", "frames/s", "against frame by frame", "agreement"), rows)


def _batches(clip: Frames) -> list[Frames]:
    return [clip[at : at + BATCH] for at in range(0, len(clip), BATCH)]


def _best(boxes: Any, probabilities: Any) -> Box | None:
    if boxes is None:
        return None
    best: Box = np.asarray(boxes[int(np.argmax(probabilities))], float)
    return best


def _agreement(ours: Sequence[Box | None], theirs: Sequence[Box | None]) -> float:
    return float(np.mean([_alike(a, b) for a, b in zip(ours, theirs, strict=True)]))


def _alike(a: Box | None, b: Box | None) -> bool:
    if a is None or b is None:
        return a is b
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(sides.clip(min=0)))
    return shared >= ALIKE * (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)


if __name__ == "__main__":
    main()
