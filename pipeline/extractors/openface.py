"""OpenFace 2: gaze, head pose and action units from the CSV that FeatureExtraction writes (Baltrušaitis et al., FG 2018).

One row a frame (and face): frame, face_id, timestamp, confidence, success, gaze_…, eye_lmk_…, pose_…, x_…, AU01_r, AU01_c, …
Names in the header may begin with a blank. Source: the wiki of OpenFace, “Output format”.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.elsewhere import LARGEST, FolderExtractor, Frames
from mimdata.pipeline.records import Reason

BOOKS = ("frame", "face_id", "timestamp", "confidence", "success")
LONGEST_HEADER = 2**20
ALONE = 1 / 30  # seconds of a frame that is the only one
NO_NUMBER = ["", "nan", "-nan", "NaN", "-nan(ind)", "nan(ind)"]


@dataclass(frozen=True)
class OpenfaceExtractor(FolderExtractor):
    """The columns of OpenFace whose names begin with one of `columns`, as the modality `modality`.

    Of several faces the one with the highest mean confidence is read, or the one with the id `face`. Frames without success,
    or less sure than `confidence`, are `NO_FACE`. A frame lasts until the next one usually begins.
    """

    columns: tuple[str, ...] = ("gaze", "pose", "AU")
    face: int = -1
    confidence: float = 0.0

    name: ClassVar[str] = "openface"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def read(self, path: Path) -> Frames:
        """The chosen face's frames. Raises MimdataError for a file that is no table of OpenFace."""
        names = _header(path)
        wanted = tuple(n for n in names if n.startswith(self.columns) and n not in BOOKS)
        books = {n for n in BOOKS if n in names}
        missing = {"timestamp", "success"} - books
        if missing or not wanted or len(set(names)) < len(names):
            raise MimdataError(
                f"{path} is no table of OpenFace: expected timestamp, success and columns that begin with "
                f"{', '.join(self.columns)}; found {', '.join(names[:8])}"
            )
        table = _table(path, names, [*books, *wanted])
        face = table["face_id"] if "face_id" in table else np.zeros(len(table["success"]))
        sure = table.get("confidence", np.ones(len(face)))
        mine = face == (_surest(face, sure) if self.face < 0 else self.face)
        times = table["timestamp"][mine]
        steps = np.diff(np.sort(times[np.isfinite(times)]))
        lasts = float(np.median(steps[steps > 0])) if (steps > 0).any() else ALONE
        seen = (table["success"][mine] == 1) & (sure[mine] >= self.confidence)
        return Frames(
            np.stack([times, times + lasts], axis=1),
            np.stack([table[n][mine] for n in wanted], axis=1),
            np.where(seen, Reason.VALID, Reason.NO_FACE).astype(np.uint8),
            wanted,
        )


def _surest(face: npt.NDArray[Any], sure: npt.NDArray[Any]) -> float:
    ids = np.unique(face)
    means = [float(np.nanmean(sure[face == i])) if np.isfinite(sure[face == i]).any() else -1.0 for i in ids]
    return float(ids[int(np.argmax(means))]) if len(ids) else 0.0


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = file.readline(LONGEST_HEADER)
        return [name.strip() for name in next(csv.reader([line]), [])]
    except (OSError, csv.Error) as error:
        raise MimdataError(f"cannot read {path}: {error}") from error


def _table(path: Path, names: list[str], wanted: list[str]) -> dict[str, npt.NDArray[np.float64]]:
    import pyarrow as pa
    import pyarrow.csv

    if path.stat().st_size > LARGEST:
        raise MimdataError(f"{path} has more than {LARGEST >> 30} GiB: split the recording")
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.float64()),
                null_values=NO_NUMBER,
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise MimdataError(f"{path} is no table of numbers: {str(error).splitlines()[0]}") from error
    return {n: table.column(n).to_numpy(zero_copy_only=False).astype(np.float64) for n in wanted}
