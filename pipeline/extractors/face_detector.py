"""MTCNN over many frames at once, with facenet-pytorch's networks (Zhang et al., IEEE SPL 23 (2016)).

Three networks in a row: P proposes boxes on an image pyramid, R refines them on crops of 24×24, O on crops of 48×48, where it
also places five landmarks. The networks and their weights are the library's. Around them its detector spends most of its time on
one crop after the other and on max-pooling; here

* averages over windows come out of one integral image a frame, whose sums of whole numbers are exact: every level of the pyramid and
  every crop, without a loop over boxes;
* max-pooling takes the maximum of strided views, which is the same numbers in a tenth of the time;
* all frames of one size go through each network together.

`benchmarks/bench_faces.py` measures it against the library's detector, with which it agrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from mimdata.pipeline.extractors.face_track import Face

CELL, STRIDE = 12, 2  # pixels of P's field of view, and between two of them
FINEST = 20  # pixels of the smallest face of the library's pyramid
SHRINK = 0.709  # of the pyramid, level by level: half the area
SMALL, LARGE = 24, 48  # what R and O read
WITHIN_LEVEL, BETWEEN_LEVELS, OVERLAP = 0.5, 0.7, 0.7  # largest overlaps of boxes that stand for two faces
CROPS = 512  # crops that go through a network at a time


@dataclass(frozen=True)
class Boxes:
    """N boxes (N, 4) as x1, y1, x2, y2 in pixels, their scores (N,), and the frame of each (N,)."""

    corners: Tensor
    scores: Tensor
    frames: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: Tensor) -> Boxes:
        return Boxes(self.corners[chosen], self.scores[chosen], self.frames[chosen])

    def without_overlaps(self, limit: float) -> tuple[Boxes, Tensor]:
        """Of boxes of one frame that overlap by more than the limit only the best; also their places here."""
        kept = batched_nms(self.corners, self.scores, self.frames, limit)
        return self[kept], kept

    def squared(self) -> Boxes:
        """Each as the square of its longer side around its centre."""
        x1, y1, x2, y2 = self.corners.unbind(1)
        width, height = x2 - x1, y2 - y1
        side = torch.maximum(width, height)
        left, top = x1 + width * 0.5 - side * 0.5, y1 + height * 0.5 - side * 0.5
        return Boxes(torch.stack([left, top, left + side, top + side], 1), self.scores, self.frames)

    def shifted(self, regression: Tensor, extra: float) -> Boxes:
        """Each corner moved by its regression (N, 4), a share of the box's size, `extra` pixels added."""
        x1, y1, x2, y2 = self.corners.unbind(1)
        size = torch.stack([x2 - x1 + extra, y2 - y1 + extra] * 2, 1)
        return Boxes(self.corners + regression * size, self.scores, self.frames)


class Detector:
    """The three networks in memory; `thresholds` are their least probabilities of a face."""

    def __init__(self, thresholds: Sequence[float], device: str) -> None:
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self._thresholds, self._device = tuple(thresholds), device
        self._p, self._r, self._o = (_fast(net()).eval().to(device) for net in (PNet, RNet, ONet))

    def __call__(self, images: npt.NDArray[np.uint8], smallest: int) -> list[list[Face]]:
        """The faces of at least `smallest` pixels of each of the frames (n, h, w, 3), RGB; the largest first."""
        with torch.inference_mode():
            windows = Windows(images, self._device)
            boxes, crops = windows.crops(self._proposed(windows, smallest), SMALL)
            if len(boxes):
                boxes, crops = windows.crops(self._refined(boxes, crops), LARGE)
            if not len(boxes):
                return [[] for _ in images]
            boxes, points = self._final(boxes, crops)
        return _faces(boxes, points, len(images))

    def _proposed(self, windows: Windows, smallest: int) -> Boxes:
        """P's boxes of all levels of the pyramid, moved by their regression and squared."""
        found: list[Boxes] = []
        regressions: list[Tensor] = []
        for scale in scales(windows.height, windows.width, smallest):
            regression, probability = self._p(windows.level(scale))
            scores = probability[:, 1]
            frame, y, x = torch.where(scores >= self._thresholds[0])
            at = torch.stack([x, y], 1).to(scores.dtype)
            corners = torch.cat(
                [((STRIDE * at + 1) / scale).floor(), ((STRIDE * at + CELL) / scale).floor()], dim=1
            )
            boxes, kept = Boxes(corners, scores[frame, y, x], frame).without_overlaps(WITHIN_LEVEL)
            found.append(boxes)
            regressions.append(regression[frame, :, y, x][kept])
        whole = Boxes(*(torch.cat([getattr(b, n) for b in found]) for n in ("corners", "scores", "frames")))
        boxes, kept = whole.without_overlaps(BETWEEN_LEVELS)
        return boxes.shifted(torch.cat(regressions)[kept], 0).squared()

    def _refined(self, boxes: Boxes, crops: Tensor) -> Boxes:
        """Those boxes that R takes for faces, moved by its regression and squared."""
        regression, probability = _in_parts(self._r, crops)
        sure = probability[:, 1] > self._thresholds[1]
        kept = Boxes(boxes.corners[sure], probability[sure, 1], boxes.frames[sure])
        kept, places = kept.without_overlaps(OVERLAP)
        return kept.shifted(regression[sure][places], 1).squared()

    def _final(self, boxes: Boxes, crops: Tensor) -> tuple[Boxes, Tensor]:
        """Those that O takes for faces, moved by its regression, and their landmarks (N, 5, 2)."""
        regression, points, probability = _in_parts(self._o, crops)
        sure = probability[:, 1] > self._thresholds[2]
        kept = Boxes(boxes.corners[sure], probability[sure, 1], boxes.frames[sure])
        x1, y1, x2, y2 = (c[:, None] for c in kept.corners.unbind(1))
        across, down = points[sure, :5], points[sure, 5:]
        marks = torch.stack([(x2 - x1 + 1) * across + x1 - 1, (y2 - y1 + 1) * down + y1 - 1], dim=2)
        moved = kept.shifted(regression[sure], 1)
        chosen = _inner_overlaps(moved, OVERLAP)
        return moved[chosen], marks[chosen]


class Windows:
    """Means over windows of n frames, as adaptive average pooling takes them, from one integral image a frame."""

    def __init__(self, images: npt.NDArray[np.uint8], device: str) -> None:
        """images (n, h, w, 3)."""
        n, self.height, self.width, channels = images.shape
        # Sums of all pixels above and to the left: whole numbers, and so exact.
        fits = self.height * self.width * 255 < 2**31
        sums = np.zeros((n, self.height + 1, self.width + 1, channels), np.int32 if fits else np.int64)
        inside = sums[:, 1:, 1:]
        for y in range(self.height):  # a row of all frames at a time, several times as fast as cumsum
            np.add(sums[:, y, 1:], images[:, y], out=inside[:, y])
        np.cumsum(inside, axis=2, out=inside)
        self._sums = torch.from_numpy(sums).to(device)

    def level(self, scale: float) -> Tensor:
        """All frames at a level of the pyramid, (n, 3, h', w'), as P reads them."""
        height, width = int(self.height * scale + 1), int(self.width * scale + 1)
        top, bottom = _edges(self.height, height, self._sums.device)
        left, right = _edges(self.width, width, self._sums.device)
        rows = self._sums[:, bottom] - self._sums[:, top]
        sums = rows[:, :, right] - rows[:, :, left]
        counts = (bottom - top)[:, None] * (right - left)
        return _normalised(sums.permute(0, 3, 1, 2) / counts)

    def crops(self, boxes: Boxes, side: int) -> tuple[Boxes, Tensor]:
        """The boxes that hold a pixel, and what is in them at side × side, (N, 3, side, side), as R and O read it."""
        corners = boxes.corners.trunc().long()
        begin = corners[:, :2].clamp(min=1) - 1
        end = torch.minimum(corners[:, 2:], torch.tensor([self.width, self.height], device=corners.device))
        boxes_, begin, end = _where((end > begin).all(dim=1), boxes, begin, end)
        (left, right), (top, bottom) = (
            _spans(begin[:, axis], (end - begin)[:, axis], side) for axis in (0, 1)
        )
        flat, across = self._sums.view(-1, self._sums.shape[3]), self.width + 1
        frame = boxes_.frames[:, None, None] * (self.height + 1) * across

        def at(y: Tensor, x: Tensor) -> Tensor:
            places = frame + y[:, :, None] * across + x[:, None, :]
            return flat.index_select(0, places.view(-1)).view(*places.shape, flat.shape[1])

        sums = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
        counts = ((bottom - top)[:, :, None] * (right - left)[:, None, :])[:, None]
        return boxes_, _normalised(sums.permute(0, 3, 1, 2) / counts)


class StridedMax(nn.Module):
    """Max-pooling of `size` with stride 2 that also takes windows over the edge: the maximum of strided views."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, ⌈(h − size) / 2⌉ + 1, …)."""
        for axis in (2, 3):
            count = -(-(x.shape[axis] - self.size) // 2) + 1
            views = [x[:, :, i::2] if axis == 2 else x[..., i::2] for i in range(self.size)]
            found = views[0].narrow(axis, 0, count)
            for view in views[1:]:
                n = min(count, view.shape[axis])  # the last window may have no such pixel
                both = torch.maximum(found.narrow(axis, 0, n), view.narrow(axis, 0, n))
                found = both if n == count else torch.cat([both, found.narrow(axis, n, count - n)], axis)
            x = found
        return x


def scales(height: int, width: int, smallest: int) -> list[float]:
    """The levels of the pyramid, from faces of about `smallest` pixels to the largest that the frame holds.

    They are those of the library's own pyramid, which begins at 20 pixels and grows by 1.41, from the one nearest to
    `smallest` on: what is found does not shift with the size of the frame.
    """
    scale, found = CELL / FINEST, []
    while min(height, width) * scale >= CELL - 1e-6:
        found.append(scale)
        scale *= SHRINK
    skipped = round(math.log(smallest / FINEST) / -math.log(SHRINK))
    return found[max(0, min(skipped, len(found) - 1)) :]


def _fast(net: nn.Module) -> nn.Module:
    """The network with its max-pooling done faster, to the same numbers."""
    for name, layer in list(net.named_children()):
        if isinstance(layer, nn.MaxPool2d) and isinstance(layer.kernel_size, int):
            assert (layer.stride, layer.ceil_mode, layer.padding) == (2, True, 0)
            setattr(net, name, StridedMax(layer.kernel_size))
    return net


def _edges(whole: int, parts: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each of `parts` windows over `whole` pixels begins and ends: ⌊i·whole/parts⌋, ⌈(i + 1)·whole/parts⌉."""
    i = torch.arange(parts, device=device)
    return i * whole // parts, -(-(i + 1) * whole // parts)


def _spans(begin: Tensor, length: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """The same for N boxes of their own lengths, (N, parts)."""
    i = torch.arange(parts, device=begin.device)
    first = i * length[:, None] // parts
    last = -(-(i + 1) * length[:, None] // parts)
    return begin[:, None] + first, begin[:, None] + last


def _where(mask: Tensor, boxes: Boxes, *tensors: Tensor) -> Any:
    return boxes[mask], *(tensor[mask] for tensor in tensors)


def _normalised(pixels: Tensor) -> Tensor:
    """(x − 127.5) / 128, as the networks were trained."""
    return ((pixels - 127.5) * 0.0078125).contiguous()


def _in_parts(net: nn.Module, crops: Tensor) -> list[Tensor]:
    """A network's outputs over all crops, a bounded number at a time."""
    parts = [net(part) for part in torch.split(crops, CROPS)]
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def _inner_overlaps(boxes: Boxes, limit: float) -> Tensor:
    """The boxes that remain where an overlap is measured against the smaller of two boxes, best first."""
    order = boxes.scores.argsort(descending=True, stable=True)
    x1, y1, x2, y2 = boxes.corners[order].unbind(1)
    area = (x2 - x1 + 1) * (y2 - y1 + 1)
    width = torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1) + 1
    height = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1) + 1
    overlap = width.clamp(min=0) * height.clamp(min=0) / torch.minimum(area[:, None], area)
    frames = boxes.frames[order]
    rivals = ((overlap > limit) & (frames[:, None] == frames)).cpu().numpy()
    kept: list[int] = []
    for i in range(len(rivals)):  # a handful of boxes that are all but faces
        if not rivals[i, kept].any():
            kept.append(i)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def _faces(boxes: Boxes, points: Tensor, count: int) -> list[list[Face]]:
    corners, scores, frames, marks = (
        t.cpu().numpy().astype(np.float64) for t in (boxes.corners, boxes.scores, boxes.frames, points)
    )
    found: list[list[Face]] = [[] for _ in range(count)]
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    for i in np.argsort(-areas, kind="stable"):
        found[int(frames[i])].append(Face(corners[i], float(scores[i]), marks[i]))
    return found
