"""Our detector finds what facenet-pytorch's finds, for many frames at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from torch import nn

from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.extractors import face_detector
from mimdata.pipeline.extractors.face_detector import (
    FINEST,
    SHRINK,
    Detector,
    StridedMax,
    Windows,
    scales,
)
from mimdata.pipeline.media import Media

THRESHOLDS = (0.6, 0.7, 0.9)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(THRESHOLDS, "cpu")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> npt.NDArray[np.uint8]:
    """Frames of the demo's talking face, an empty one, and two faces side by side."""
    root = tmp_path_factory.mktemp("demo")
    build_demo(root, utterances=3, videos=3)
    film = sorted(root.rglob("*.mp4"))[0]
    media = Media(film, None, None, audio=False, fps={5.0})
    shown = [f.image for f in media.frames(5.0) if f.image is not None][:6]
    half = shown[0][:, ::2]
    return np.stack([*shown, np.full_like(shown[0], 127), np.concatenate([half, half[:, ::-1]], axis=1)])


def compare(ours: Any, images: npt.NDArray[np.uint8], level: int) -> int:
    """The number of faces; boxes, landmarks and probabilities must be the library's from a level of its pyramid on."""
    smallest, count = FINEST / SHRINK**level, 0
    library = MTCNN(keep_all=True, min_face_size=smallest, thresholds=list(THRESHOLDS))
    for image, faces in zip(images, ours, strict=True):
        boxes, probabilities, points = library.detect(image, landmarks=True)
        assert len(faces) == (0 if boxes is None else len(boxes))
        count += len(faces)
        for i, face in enumerate(faces):
            np.testing.assert_allclose(face.box, np.asarray(boxes[i], float), atol=1e-2)
            np.testing.assert_allclose(face.points, np.asarray(points[i], float), atol=1e-2)
            assert face.probability == pytest.approx(probabilities[i], abs=1e-4)
    return count


@pytest.mark.parametrize(("smallest", "level"), [(20, 0), (23, 0), (24, 1), (28, 1), (56, 3)])
def test_faces_are_those_of_the_librarys_detector(
    detector: Detector, frames: npt.NDArray[np.uint8], smallest: int, level: int
) -> None:
    assert compare(detector(frames, smallest), frames, level) >= 6


def test_real_people(detector: Detector, shared_data: Path) -> None:
    films = [*sorted((shared_data / "clips" / "grid").glob("*.mpg"))[:3]]
    films += sorted((shared_data / "clips" / "edge_cases").glob("*.mp4"))
    for film in films:
        media = Media(film, None, None, audio=False, fps={2.0})
        shown = np.stack([f.image for f in media.frames(2.0) if f.image is not None][:6])
        compare(detector(shown, 29), shown, 1)


def test_an_odd_frame_of_its_own_size(detector: Detector, frames: npt.NDArray[np.uint8]) -> None:
    odd = np.ascontiguousarray(frames[:2, :207, :155])
    compare(detector(odd, 21), odd, 0)
    assert detector(odd[:, :33, :33], 33) == [[], []]


def test_no_network_is_called_more_often_for_more_frames(
    detector: Detector, frames: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("_p", "_r", "_o"):
        net = getattr(detector, name)

        def counted(x: Any, net: Any = net, name: str = name) -> Any:
            calls.append(name)
            return net(x)

        monkeypatch.setattr(detector, name, counted)
    detector(frames[:1], 60)
    once = list(calls)
    calls.clear()
    detector(frames[:6], 60)
    assert calls == once
    assert calls.count("_p") == len(scales(*frames.shape[1:3], 60))
    assert (calls.count("_r"), calls.count("_o")) == (1, 1)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (7, 12), (24, 24), (3, 4)])
@pytest.mark.parametrize("size", [2, 3])
def test_max_pooling_gives_the_same_numbers(shape: tuple[int, int], size: int) -> None:
    x = torch.randn(2, 5, *shape)
    assert torch.equal(StridedMax(size)(x), nn.MaxPool2d(size, 2, ceil_mode=True)(x))


def test_windows_are_adaptive_average_pooling() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 37, 53, 3), dtype=np.uint8)
    windows = Windows(images, "cpu")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    expected = nn.functional.adaptive_avg_pool2d(pixels, (int(37 * 0.4 + 1), int(53 * 0.4 + 1)))
    torch.testing.assert_close(windows.level(0.4).double() * 128 + 127.5, expected, atol=1e-4, rtol=0)
    boxes = face_detector.Boxes(
        torch.tensor([[3.7, 2.2, 30.9, 29.1], [-5.0, 10.0, 8.0, 60.0], [40, 40, 30, 30]]),
        torch.ones(3),
        torch.tensor([0, 1, 0]),
    )
    kept, crops = windows.crops(boxes, 24)
    assert len(kept) == 2  # the third holds no pixel
    for crop, part in zip(crops, (pixels[0, :, 1:29, 2:30], pixels[1, :, 9:37, 0:8]), strict=True):
        expected = nn.functional.adaptive_avg_pool2d(part[None], (24, 24))[0]
        torch.testing.assert_close(crop.double() * 128 + 127.5, expected, atol=1e-4, rtol=0)


def test_sums_of_very_large_frames_do_not_wrap() -> None:
    white = np.full((1, 3000, 3000, 3), 255, np.uint8)
    level = Windows(white, "cpu").level(0.01)
    torch.testing.assert_close(level, torch.full_like(level, 127.5 / 128))


def test_a_photograph_turned_upside_down_gives_what_the_library_gives(
    detector: Detector, frames: npt.NDArray[np.uint8]
) -> None:
    turned = np.asarray(Image.fromarray(frames[0]).rotate(180))[None]
    compare(detector(turned, 24), turned, 1)
