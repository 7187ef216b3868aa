"""OpenFace tables, COVAREP's MATLAB files and NumPy arrays as modalities of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given

from mimdata.pipeline.errors import ClipError, MimdataError, UsageError
from mimdata.pipeline.extractors.arrays import ArraysExtractor
from mimdata.pipeline.extractors.covarep import CovarepExtractor
from mimdata.pipeline.extractors.elsewhere import FolderExtractor
from mimdata.pipeline.extractors.openface import OpenfaceExtractor
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Reason, Track
from mimdata.pipeline.steps import Resources
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome

HEADER = "frame, face_id, timestamp, confidence, success, gaze_0_x, eye_lmk_x_0, pose_Tx, AU01_r, AU01_c"


def row(frame: int, face: int, value: float, confidence: float = 0.98, success: int = 1) -> str:
    return f"{frame}, {face}, {(frame - 1) / 25:.3f}, {confidence}, {success}, {value}, 9, {value + 1}, {value + 2}, 1.0"


def table(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def track(step: FolderExtractor, media: Path, start: float | None = None, end: float | None = None) -> Track:
    clip = Clip("v[0]", "v", 0, media.name, start, end, "text")
    made = step.open(Resources())(Media(media, start, end, audio=False, fps=()), clip)
    assert isinstance(made, Track)
    return made


def test_openface_columns_times_and_frames_without_success(tmp_path: Path) -> None:
    rows = [row(1, 0, 0.5), row(2, 0, 1.5, success=0), row(3, 0, 2.5), row(4, 0, float("nan"))]
    (tmp_path / "v.csv").write_text(table(*rows))
    step = OpenfaceExtractor(folder=str(tmp_path))
    assert step.feature_names == ("gaze_0_x", "pose_Tx", "AU01_r", "AU01_c")
    made = track(step, tmp_path / "films/v.mp4")
    np.testing.assert_allclose(made.times, [[0, 0.04], [0.04, 0.08], [0.08, 0.12], [0.12, 0.16]], atol=1e-6)
    assert made.reason.tolist() == [Reason.VALID, Reason.NO_FACE, Reason.VALID, Reason.NOT_FINITE]
    np.testing.assert_allclose(made.values, [[0.5, 1.5, 2.5, 1], [0] * 4, [2.5, 3.5, 4.5, 1], [0] * 4])


def test_openface_frames_of_a_span_count_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(table(*(row(i, 0, i) for i in range(1, 101))))
    made = track(OpenfaceExtractor(folder=str(tmp_path), columns=("pose",)), tmp_path / "v.mp4", 1.0, 2.0)
    assert len(made.values) == 25
    np.testing.assert_allclose(made.values[:2], [[27], [28]])  # frame 26 begins at 1.00 s
    np.testing.assert_allclose(made.times[0], [0, 0.04], atol=1e-6)


def test_of_several_faces_the_surest_is_read_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    rows = [line for i in (1, 2, 3) for line in (row(i, 0, 5, 0.6), row(i, 1, 7, 0.9))]
    (tmp_path / "v.csv").write_text(table(*rows))
    for face, gaze in ((-1, 7), (0, 5), (1, 7)):
        made = track(OpenfaceExtractor(folder=str(tmp_path), face=face), tmp_path / "v.mp4")
        assert made.values[:, 0].tolist() == [gaze] * 3
    unsure = track(OpenfaceExtractor(folder=str(tmp_path), face=0, confidence=0.7), tmp_path / "v.mp4")
    assert set(unsure.reason.tolist()) == {Reason.NO_FACE}


def matlab(path: Path, values: np.ndarray, names: list[str] | None) -> None:
    held: dict[str, Any] = {"features": values}
    if names:
        held["names"] = np.array(names, dtype=object)[None]
    scipy.io.savemat(path, held, do_compression=True)


@pytest.mark.parametrize("kind", ["matlab 5", "matlab 7.3"])
def test_covarep_rows_with_infinity_are_not_valid(tmp_path: Path, kind: str) -> None:
    values = np.arange(12.0).reshape(4, 3)
    values[2, 1] = -np.inf
    if kind == "matlab 5":
        matlab(tmp_path / "v.mat", values, ["F0", "VUV", "NAQ"])
    else:
        with h5py.File(tmp_path / "v.mat", "w", userblock_size=512) as file:
            file["features"] = values.T
    step = CovarepExtractor(folder=str(tmp_path))
    named = ("F0", "VUV", "NAQ") if kind == "matlab 5" else ("audio_0", "audio_1", "audio_2")
    assert step.feature_names == named
    made = track(step, tmp_path / "v.wav")
    np.testing.assert_allclose(made.times, [[0, 0.01], [0.01, 0.02], [0.02, 0.03], [0.03, 0.04]], atol=1e-6)
    assert made.reason.tolist() == [Reason.VALID, Reason.VALID, Reason.NOT_FINITE, Reason.VALID]
    np.testing.assert_allclose(made.values, np.where(np.arange(4)[:, None] == 2, 0, values))


def test_arrays_with_times_and_names_or_with_a_hop(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    times = np.array([[0.2, 0.4], [0.0, 0.2], [0.4, 0.6]])
    np.savez_compressed(tmp_path / "v.npz", values=values, times=times, names=np.array(["rms", "zcr"]))
    step = ArraysExtractor(modality="rhythm", folder=str(tmp_path))
    assert step.feature_names == ("rms", "zcr")
    assert track(step, tmp_path / "v.wav").values.tolist() == [[2, 3], [0, 1], [4, 5]]  # in the order of time

    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "v.npy", values)
    with pytest.raises(UsageError, match=r"\[extractors.rhythm\] hop"):
        _ = ArraysExtractor(modality="rhythm", folder=str(other)).feature_names
    made = track(
        ArraysExtractor(modality="rhythm", folder=str(other), hop=0.1, window=0.25), tmp_path / "v.wav"
    )
    np.testing.assert_allclose(made.times, [[0, 0.25], [0.1, 0.35], [0.2, 0.45]], atol=1e-6)


@pytest.mark.parametrize("place", ["a/v/0001.npy", "v/0001.npy", "v_0001.npy", "0001.npy"])
def test_a_file_is_found_by_as_much_of_its_recordings_path_as_it_has(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "features"
    (folder / place).parent.mkdir(parents=True)
    np.save(folder / place, np.ones((2, 1)))
    step = ArraysExtractor(folder=str(folder), hop=0.1)
    assert step.sidecar(Path("/corpus/a/v/0001.mp4")) == folder / place
    assert step.sidecar(Path("/corpus/a/v/0002.mp4")) is None
    empty = track(step, Path("/corpus/a/v/0002.mp4"))
    assert (empty.values.shape, empty.absent) == ((0, 1), "no arrays file")


def test_a_recordings_own_file_comes_before_its_namesakes(tmp_path: Path) -> None:
    for place in ("0001.npy", "v/0001.npy"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        np.save(tmp_path / place, np.ones((1, 1)))
    step = ArraysExtractor(folder=str(tmp_path), hop=0.1)
    assert step.sidecar(Path("/corpus/v/0001.mp4")) == tmp_path / "v/0001.npy"


def test_files_of_one_folder_have_the_same_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    np.save(tmp_path / "b.npy", np.ones((2, 4)))
    with pytest.raises(ClipError, match=r"b\.npy has 4 columns .* expected 3"):
        track(ArraysExtractor(folder=str(tmp_path), hop=0.1), tmp_path / "b.mp4")


def test_a_folder_that_is_not_there_or_empty_is_one_line(tmp_path: Path) -> None:
    for step, match in (
        (ArraysExtractor(), "needs `folder`"),
        (ArraysExtractor(folder=str(tmp_path / "no")), "there is no"),
        (OpenfaceExtractor(folder=str(tmp_path)), r"holds no \.csv"),
    ):
        with pytest.raises(UsageError, match=match):
            _ = step.feature_names


class Evil:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize("name", ["v.npy", "v.npz"])
def test_objects_are_not_read(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    evil = np.array([[Evil()]], dtype=object)
    if name == "v.npy":
        np.save(tmp_path / name, evil, allow_pickle=True)
    else:
        np.savez(tmp_path / name, values=evil)
    with pytest.raises(MimdataError, match=name):
        _ = ArraysExtractor(folder=str(tmp_path), hop=0.1).feature_names
    assert "it ran" not in capsys.readouterr().out


def made(folder: Path, kind: str) -> bytes:
    path = folder / f"v.{kind}"
    if kind == "csv":
        path.write_text(table(row(1, 0, 1), row(2, 0, 2)))
    elif kind == "mat":
        matlab(path, np.ones((3, 2)), ["a", "b"])
    elif kind == "npz":
        np.savez(path, values=np.ones((3, 2)), times=np.ones((3, 2)), names=np.array(["a", "b"]))
    else:
        np.save(path, np.ones((3, 2)))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (OpenfaceExtractor(), "csv"),
        (CovarepExtractor(), "mat"),
        (ArraysExtractor(hop=0.1), "npy"),
        (ArraysExtractor(hop=0.1), "npz"),
    ],
    ids=["csv", "mat", "npy", "npz"],
)
def test_any_bytes_are_frames_or_one_line(tmp_path: Path, step: FolderExtractor, kind: str) -> None:
    path = tmp_path / f"v.{kind}"
    intact = made(tmp_path, kind)
    assert len(step.read(path).values) >= 2

    @fuzz
    @given(hostile(intact, tokens=(b"timestamp", b"success", b"AU", b"(99999999999,)", b"\xff\xff\xff\x7f")))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        frames = outcome(lambda: step.read(path), path.name)
        if frames is not None:
            assert frames.values.shape == (len(frames.times), len(frames.names))
            assert frames.times.shape[1:] == (2,)

    check()
