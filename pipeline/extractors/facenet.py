"""Face: MTCNN's box and landmarks of the person who speaks, and FaceNet's embedding when its weights are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.extractors.face_track import Face, Follower, geometry
from mimdata.pipeline.extractors.weights import digests
from mimdata.pipeline.media import Frame, Media
from mimdata.pipeline.records import Clip, Float32, Reason, Track
from mimdata.pipeline.steps import Extract, Reads, Resources

BATCH = 16  # frames of one clip; more gains nothing on a CPU
BATCH_PIXELS = (
    16 * 1280 * 720
)  # large pictures go in smaller batches: each takes its sums and its crops beside it
SMALLEST = 20  # pixels: MTCNN's own limit
CROP = 160  # pixels, InceptionResnetV1's input
CROP_MARGIN = 32 / (
    CROP - 32
)  # of the box, half on each side: what facenet-pytorch's own crops have by default
EMBEDDING = 512
GEOMETRY = (
    "probability",
    "centre_x",
    "centre_y",
    "width",
    "height",
    "roll",
    *(
        f"{point}_{axis}"
        for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        for axis in "xy"
    ),
)


@dataclass(frozen=True)
class FacenetExtractor:
    """Box, landmarks and, given its VGGFace2 weights, FaceNet embedding of the face that speaks.

    `min_face` is the smallest face as a share of the frame's smaller side, at least 20 pixels, to the nearest level of
    MTCNN's pyramid. `thresholds` are
    those of MTCNN's three networks; the last is the least probability of a face, and above the library's own 0.7,
    which takes lettering for faces. `face_weights` is the file 20180402-114759-vggface2.pt.
    """

    name: ClassVar[str] = "facenet"
    version: ClassVar[int] = 2
    modality: ClassVar[str] = "vision"
    libraries: ClassVar[tuple[str, ...]] = (
        "facenet-pytorch",
        "torch",
        "torchvision",
        "pillow",
        "av",
        "numpy",
    )
    fps: float = 5.0
    min_face: float = 0.1
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.9)
    face_weights: str | None = field(default=None, metadata={"identity": False})
    face_weights_sha256: str | None = field(default=None, metadata={"identity": False})

    def __post_init__(self) -> None:
        if not (0 < self.fps <= 120 and 0 < self.min_face <= 1):
            raise UsageError(
                f"facenet takes fps in (0, 120] and min_face in (0, 1], found {self.fps} and {self.min_face}"
            )

    @property
    def reads(self) -> Reads:
        """Frames at the sampling rate."""
        return Reads(fps=self.fps)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """16 columns of geometry, then 512 of the embedding where its weights are given."""
        return (*GEOMETRY, *(f"embedding_{i}" for i in range(EMBEDDING if self.face_weights else 0)))

    def weights(self) -> Mapping[str, str]:
        """Digest of the embedding's weights; MTCNN's are part of the library's version.

        Raises UsageError if it is not the digest that was expected.
        """
        if self.face_weights is None:
            return {}
        (found,) = digests([Path(self.face_weights).expanduser()]).values()
        if self.face_weights_sha256 not in (None, found):
            raise UsageError(
                f"{self.face_weights} has sha256 {found}, expected {self.face_weights_sha256}: download it again"
            )
        return {"vggface2": found}

    def notes(self) -> Sequence[str]:
        """What whoever starts an extraction should know."""
        if self.face_weights is not None:
            return ()
        return ("facenet: no --face-weights, so the face features are geometry alone (docs/weights.md)",)

    def open(self, resources: Resources) -> Extract:
        """Load the networks. Raises UsageError for weights that are none, or not those that were expected."""
        self.weights()
        return _Networks(self, resources.device)


class _Networks:
    """MTCNN, and InceptionResnetV1 where its weights are given, in memory."""

    def __init__(self, step: FacenetExtractor, device: str) -> None:
        self._step = step
        self._device = device
        from mimdata.pipeline.extractors.face_detector import Detector  # and with it torch

        self._detector = Detector(step.thresholds, device)
        self._embedder: Any = (
            _embedder(Path(step.face_weights).expanduser(), device) if step.face_weights else None
        )

    def __call__(self, media: Media, clip: Clip) -> Track:
        dim = len(self._step.feature_names)
        frames = media.frames(self._step.fps)
        if not media.has_video:
            return Track.empty(dim, "no video track")
        follower = Follower()
        rows: list[Float32] = []
        reasons: list[Reason] = []
        while batch := list(islice(frames, BATCH)):
            for frame, faces in zip(batch, self._detect(batch), strict=True):
                row, reason = self._row(frame, faces, follower)
                rows.append(row)
                reasons.append(reason)
        starts = np.arange(len(rows)) / self._step.fps
        ends = np.minimum(starts + 1 / self._step.fps, media.duration)
        values = np.stack(rows) if rows else np.zeros((0, dim), np.float32)
        return Track(np.stack([starts, ends], axis=1).astype(np.float32), values, np.array(reasons, np.uint8))

    def _row(
        self, frame: Frame, faces: Sequence[Face] | Reason, follower: Follower
    ) -> tuple[Float32, Reason]:
        nothing = np.zeros(len(self._step.feature_names), np.float32)
        if isinstance(faces, Reason) or frame.image is None:
            return nothing, faces if isinstance(faces, Reason) else Reason.NO_FRAME
        height, width = frame.image.shape[:2]
        face = follower.choose(faces, (height, width))
        if face is None:
            return nothing, Reason.OTHER_FACE if faces else Reason.NO_FACE
        row = geometry(face, (height, width))
        if self._embedder is not None:
            row = np.concatenate([row, self._embed(frame.image, face)])
        if not np.isfinite(row).all():
            return nothing, Reason.NOT_FINITE
        return row, Reason.VALID

    def _detect(self, batch: Sequence[Frame]) -> list[Sequence[Face] | Reason]:
        """The faces of each frame, or why none could be looked for."""
        found: list[Sequence[Face] | Reason] = []
        for frame in batch:
            small = frame.image is not None and min(frame.image.shape[:2]) < SMALLEST
            found.append(Reason.NO_FRAME if frame.image is None else Reason.FRAME_TOO_SMALL if small else ())
        # A stream may change its picture size; MTCNN takes pictures of one size at a time.
        for shape in {f.image.shape for f in batch if f.image is not None}:
            at = [
                i
                for i, f in enumerate(batch)
                if f.image is not None and f.image.shape == shape and not isinstance(found[i], Reason)
            ]
            if at:
                images = [image for i in at if (image := batch[i].image) is not None]
                size = max(1, BATCH_PIXELS // (shape[0] * shape[1]))
                parts = (np.stack(images[k : k + size]) for k in range(0, len(images), size))
                for i, faces in zip(at, chain.from_iterable(map(self._faces, parts)), strict=True):
                    found[i] = faces
        return found

    def _faces(self, images: npt.NDArray[np.uint8]) -> list[list[Face]]:
        """The faces of each of the images (n, h, w, 3)."""
        return self._detector(images, max(SMALLEST, round(self._step.min_face * min(images.shape[1:3]))))

    def _embed(self, image: npt.NDArray[np.uint8], face: Face) -> Float32:
        """The 512-d embedding of the face, cut out with a margin, scaled to 160×160 and to (x − 127.5) / 128."""
        import torch
        from PIL import Image

        box = _margined(face.box, CROP_MARGIN)
        crop = Image.fromarray(image).resize((CROP, CROP), Image.Resampling.BILINEAR, box=_inside(box, image))
        pixels = (np.asarray(crop, np.float32) - 127.5) / 128
        with torch.inference_mode():
            tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(self._device)
            embedding: Float32 = self._embedder(tensor)[0].float().cpu().numpy()
        return embedding


def _margined(box: npt.NDArray[np.float64], margin: float) -> npt.NDArray[np.float64]:
    extra = (box[2:] - box[:2]) * margin / 2
    return np.concatenate([box[:2] - extra, box[2:] + extra])


def _inside(box: npt.NDArray[np.float64], image: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
    height, width = image.shape[:2]
    left, top = max(0.0, box[0]), max(0.0, box[1])
    return left, top, max(left + 1, min(width, box[2])), max(top + 1, min(height, box[3]))


def _embedder(path: Path, device: str) -> Any:
    import torch
    from facenet_pytorch import InceptionResnetV1

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = InceptionResnetV1(pretrained=None, classify=False)
        # The published file also holds the classifier over the people of VGGFace2, which an embedding leaves out.
        network.load_state_dict({k: v for k, v in state.items() if not k.startswith("logits.")}, strict=True)
    except Exception as error:
        raise UsageError(
            f"{path} does not hold the weights of InceptionResnetV1 ({type(error).__name__}): expected "
            "20180402-114759-vggface2.pt (docs/weights.md)"
        ) from error
    return network.eval().to(device)
