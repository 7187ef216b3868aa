"""The face extractor: follows one real face, says why there is none, and embeds it when weights are given."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.extractors.facenet import FacenetExtractor
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Reason, Track
from mimdata.pipeline.steps import Extractor, Resources
from mimdata.pipeline.store.fingerprint import step_identity
from tests.pipeline.films import Codecs, beeps, write_film

CLIP = Clip("v[0]", "v", 0, "v.mp4", None, None, "hello")
FPS = 5.0
WIDTH, HEIGHT = 320, 240
Place = tuple[int, int, int]  # left, top and side of a square that shows a face


@pytest.fixture(scope="module")
def face() -> Image.Image:
    """Eileen Collins' face, a square of 160 pixels (NASA, public domain; comes with scikit-image)."""
    from skimage import data

    return Image.fromarray(data.astronaut()).crop((140, 25, 300, 185))


def scene(face: Image.Image, *places: Place) -> np.ndarray:
    """A grey picture with the face at each place."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90))
    for left, top, side in places:
        picture.paste(face.resize((side, side), Image.Resampling.BICUBIC), (left, top))
    return np.asarray(picture)


def film(path: Path, images: list[np.ndarray]) -> Media:
    write_film(path, times=np.arange(len(images)) / FPS, images=images, codecs=Codecs(audio=None))
    return Media(path, None, len(images) / FPS, audio=False, fps={FPS})


def column(track: Track, name: str, step: FacenetExtractor | None = None) -> np.ndarray:
    return track.values[:, (step or FacenetExtractor()).feature_names.index(name)]


@pytest.fixture(scope="module")
def extract() -> Any:
    return FacenetExtractor().open(Resources())


def test_it_is_an_extractor() -> None:
    step = FacenetExtractor()
    assert isinstance(step, Extractor)
    assert step.reads.fps == FPS
    assert len(step.feature_names) == 16
    assert "geometry alone" in step.notes()[0]


def test_a_face_is_found_where_it_is(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    """The face moves by 16 pixels a frame to the right and down, and its centre with it."""
    places = [(20 + 16 * k, 10 + 8 * k, 120) for k in range(9)]
    track = extract(film(tmp_path / "move.mp4", [scene(face, place) for place in places]), CLIP)
    assert track.valid.all()
    np.testing.assert_allclose(track.times[:, 0], np.arange(9) / FPS, atol=1e-6)
    np.testing.assert_allclose(np.diff(column(track, "centre_x")) * WIDTH, 16, atol=6)
    np.testing.assert_allclose(np.diff(column(track, "centre_y")) * HEIGHT, 8, atol=6)
    middle = np.array([(left + side / 2) / WIDTH for left, _, side in places])
    assert np.abs(column(track, "centre_x") - middle).max() < 0.08
    assert column(track, "probability").min() > 0.9
    # What is relative to the box stays while the face moves; features lie where they do in a face.
    for name in ("nose_x", "nose_y", "left_eye_x", "mouth_right_y", "roll"):
        assert column(track, name).std() < 0.06
    assert (column(track, "left_eye_x") < column(track, "nose_x")).all()
    assert (column(track, "nose_x") < column(track, "right_eye_x")).all()
    assert (column(track, "nose_y") < column(track, "mouth_left_y")).all()
    assert ((column(track, "width") > 0.15) & (column(track, "width") < 0.375)).all()


def test_roll_grows_clockwise(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    turned = [scene(face.rotate(-angle, fillcolor=(90, 90, 90)), (80, 40, 160)) for angle in (0, 10, 20)]
    track = extract(film(tmp_path / "roll.mp4", turned), CLIP)
    np.testing.assert_allclose(np.degrees(np.diff(column(track, "roll"))), [10, 10], atol=4)


def test_frames_with_and_without_a_face(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    """More frames than one batch holds, and in each batch some have no face: MTCNN itself raises on those."""
    shown = [k % 3 != 1 and k < 17 for k in range(36)]
    images = [scene(face, (80, 40, 150)) if there else scene(face) for there in shown]
    track = extract(film(tmp_path / "blink.mp4", images), CLIP)
    assert track.valid.tolist() == shown
    assert set(track.reason[~track.valid].tolist()) == {Reason.NO_FACE}
    assert not track.values[~track.valid].any()


def test_the_largest_is_followed_though_another_grows(
    extract: Any, face: Image.Image, tmp_path: Path
) -> None:
    """The first is larger for three frames, then the other: the first is kept."""
    images = [
        scene(face, (10, 40, 140 - 6 * k), (190, 50, 80 + 6 * k)) for k in range(9)
    ]  # sides 140 … 92 and 80 … 128
    track = extract(film(tmp_path / "two.mp4", images), CLIP)
    assert track.valid.all()
    assert (column(track, "centre_x") < 0.4).all()


def test_another_face_is_not_taken_for_the_one_that_left(
    extract: Any, face: Image.Image, tmp_path: Path
) -> None:
    both, other = scene(face, (10, 40, 140), (210, 80, 90)), scene(face, (210, 80, 90))
    track = extract(film(tmp_path / "leaves.mp4", [both] * 3 + [other] * 3 + [both] * 2), CLIP)
    assert track.reason.tolist() == [Reason.VALID] * 3 + [Reason.OTHER_FACE] * 3 + [Reason.VALID] * 2
    assert (column(track, "centre_x")[track.valid] < 0.4).all()


def test_a_face_that_is_gone_for_long_is_given_up(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    first, other = scene(face, (10, 40, 140)), scene(face, (200, 60, 110))
    track = extract(film(tmp_path / "cut.mp4", [first] * 2 + [other] * 14), CLIP)
    assert track.reason[2:13].tolist() == [Reason.OTHER_FACE] * 11
    assert track.valid[13:].all()
    assert (column(track, "centre_x")[13:] > 0.6).all()


def test_pictures_too_small_for_the_detector(extract: Any, tmp_path: Path) -> None:
    track = extract(film(tmp_path / "tiny.mkv", [np.full((16, 16, 3), 99, np.uint8)] * 3), CLIP)
    assert track.reason.tolist() == [Reason.FRAME_TOO_SMALL] * 3


def test_times_without_a_picture(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "late.mov",
        times=1 + np.arange(5) / FPS,
        images=[scene(face, (80, 40, 150))] * 5,
        sound=beeps(3, 44_100),
        codecs=Codecs(audio="pcm_s16le"),
    )
    track = extract(Media(path, None, None, audio=False, fps={FPS}), CLIP)
    assert track.reason.tolist() == [Reason.NO_FRAME] * 5 + [Reason.VALID] * 5 + [Reason.NO_FRAME] * 5


def test_no_video_is_an_empty_track(extract: Any, tmp_path: Path) -> None:
    path = write_film(tmp_path / "voice.wav", sound=beeps(1, 44_100), codecs=Codecs(None, "pcm_s16le"))
    track = extract(Media(path, None, None, audio=False, fps={FPS}), CLIP)
    assert track.values.shape == (0, 16)
    assert track.absent == "no video track"


def test_values_depend_on_the_clip_alone(extract: Any, face: Image.Image, tmp_path: Path) -> None:
    films = [
        film(tmp_path / "a.mp4", [scene(face, (20 + 9 * k, 30, 130)) for k in range(5)]),
        film(
            tmp_path / "b.mp4",
            [scene(face, (90, 30, 100)), scene(face), scene(face, (5, 5, 90), (150, 60, 140))],
        ),
        film(tmp_path / "c.mp4", [scene(face)] * 2),
    ]
    first = [extract(media, CLIP).values.tobytes() for media in films]
    again = FacenetExtractor().open(Resources())
    for order in ([2, 0, 1], [1, 1, 0, 2]):
        assert [again(films[i], CLIP).values.tobytes() for i in order] == [first[i] for i in order]


def test_large_pictures_in_smaller_batches_give_the_same_faces(
    extract: Any, face: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many pictures go through at once shows in the last bits, so it is a function of the clip alone."""
    images = [scene(face, (20 + 9 * k, 30, 130)) if k % 4 else scene(face) for k in range(10)]
    media = film(tmp_path / "batch.mp4", images)
    whole = extract(media, CLIP)
    for pixels in (3 * WIDTH * HEIGHT, 1):
        monkeypatch.setattr("mimdata.pipeline.extractors.facenet.BATCH_PIXELS", pixels)
        parts = extract(media, CLIP)
        assert np.array_equal(parts.reason, whole.reason)
        np.testing.assert_allclose(parts.values, whole.values, atol=1e-4)


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"min_face": 0.0}, {"min_face": 1.5}])
def test_parameters_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="facenet takes"):
        FacenetExtractor(**wrong)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the published file's layout, the classifier over 8631 people included."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(pretrained=None, classify=True, num_classes=8631).state_dict(), path)
    return path


def test_embeddings_appear_with_weights(weights: Path, face: Image.Image, tmp_path: Path) -> None:
    """The plumbing of the embedding, with random weights: the real ones lie on a hub only (next test but two)."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    step = FacenetExtractor(face_weights=str(weights))
    assert len(step.feature_names) == 16 + 512
    assert not step.notes()
    media = film(tmp_path / "face.mp4", [scene(face, (80, 40, 150)), scene(face), scene(face, (80, 40, 150))])
    track = step.open(Resources())(media, CLIP)
    assert track.valid.tolist() == [True, False, True]
    embeddings = track.values[:, 16:]
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), [1, 0, 1], atol=1e-5)
    # By hand: cut the same box out of the same picture, with a margin of an eighth of it on each side.
    shown = next(media.frames(FPS)).image
    x, y, w, h = (
        column(track, name, step)[0] * size
        for name, size in (("centre_x", WIDTH), ("centre_y", HEIGHT), ("width", WIDTH), ("height", HEIGHT))
    )
    box = (x - 0.625 * w, y - 0.625 * h, x + 0.625 * w, y + 0.625 * h)
    crop = np.asarray(
        Image.fromarray(shown).resize((160, 160), Image.Resampling.BILINEAR, box=box), np.float32
    )
    network = InceptionResnetV1(pretrained=None).eval()
    state = torch.load(weights, weights_only=True)
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits")})
    with torch.inference_mode():
        expected = network(torch.from_numpy((crop.transpose(2, 0, 1) - 127.5) / 128)[None])[0].numpy()
    assert float(expected @ embeddings[0]) > 0.9999


def test_weights_are_part_of_the_identity_and_their_path_is_not(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.pt"
    copy.write_bytes(weights.read_bytes())
    without = step_identity(FacenetExtractor())
    here, there = (step_identity(FacenetExtractor(face_weights=str(path))) for path in (weights, copy))
    assert here == there != without
    assert here["weights"] == {"vggface2": hashlib.sha256(weights.read_bytes()).hexdigest()}


def test_weights_that_are_wrong_are_refused(weights: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    FacenetExtractor(face_weights=str(weights), face_weights_sha256=digest).weights()
    other = FacenetExtractor(face_weights=str(weights), face_weights_sha256="0" * 64)
    for call in (other.weights, lambda: other.open(Resources())):
        with pytest.raises(UsageError, match="expected 0000"):
            call()
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(UsageError, match="does not hold the weights"):
        FacenetExtractor(face_weights=str(tmp_path / "text.pt")).open(Resources())
    with pytest.raises(UsageError, match="cannot read the weights"):
        FacenetExtractor(face_weights=str(tmp_path / "none.pt")).weights()


@pytest.mark.needs_weights
def test_real_embeddings_know_a_person(face: Image.Image, tmp_path: Path) -> None:
    """With VGGFace2's weights, a mirrored and darker picture of a person stays close to the person."""
    path = os.environ.get("MIMDATA_FACE_WEIGHTS")
    if not path:
        pytest.skip("set MIMDATA_FACE_WEIGHTS to 20180402-114759-vggface2.pt (docs/weights.md)")
    step = FacenetExtractor(face_weights=path)
    mirrored = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda value: int(value * 0.8))
    images = [scene(face, (80, 40, 150)), scene(mirrored, (80, 40, 150))]
    track = step.open(Resources())(film(tmp_path / "person.mp4", images), CLIP)
    assert float(track.values[0, 16:] @ track.values[1, 16:]) > 0.6


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("talking_head.mp4", 0.95, 1.0),
        ("1001_DFA_ANG_XX.flv", 0.95, 1.0),
        ("1001_DFA_HAP_XX.flv", 0.95, 1.0),
        ("no_face.mp4", 0.0, 0.0),
        ("face_then_no_face.mov", 0.1, 0.9),
    ],
)
def test_coverage_of_real_clips(
    extract: Any, shared_data: Path, name: str, least: float, most: float
) -> None:
    media = Media(shared_data / "clips" / "edge_cases" / name, None, None, audio=False, fps={FPS})
    track = extract(media, CLIP)
    assert least <= track.valid.mean() <= most
    if name == "face_then_no_face.mov":
        assert track.valid[:12].all()
        assert not track.valid[12:].any()  # a title in round letters, which MTCNN alone takes for a face once
