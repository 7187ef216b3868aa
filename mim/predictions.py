"""The predictions of an evaluation as a file: CSV, JSON Lines or Parquet, by the file's name.

    clip_id, target, prediction, prediction_MODALITY …            sentiment
    clip_id, target_E, prediction_E, prediction_MODALITY_E …      emotions, each E; predictions are logits

A modality's own prediction is empty where the utterance lacks the modality, a target where it is unlabelled.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
from torch import Tensor

from mimdata.mim.evaluation import Evaluation
from mimdata.mim.files import write_whole
from mimdata.pipeline.errors import UsageError

SUFFIXES = (".csv", ".jsonl", ".parquet")


def checked(path: Path) -> Path:
    """The path, if predictions can be written there. Raises UsageError."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"predictions are written as {', '.join(SUFFIXES)}, found {path.name!r}: rename it")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"no folder {path.absolute().parent} to write {path.name} into: make it first")
    return path


def predictions_table(evaluation: Evaluation) -> pa.Table:
    """One row an utterance, in the dataset's order; numbers as float32, null for NaN."""
    columns = {"clip_id": pa.array(evaluation.clip_ids, pa.string())}
    for i, output in enumerate(evaluation.outputs):
        suffix = "" if evaluation.task == "sentiment" else f"_{output}"
        columns[f"target{suffix}"] = _column(evaluation.target[:, i])
        columns[f"prediction{suffix}"] = _column(evaluation.predictions[:, i])
        for k, modality in enumerate(evaluation.modalities):
            columns[f"prediction_{modality}{suffix}"] = _column(evaluation.unimodal[:, k, i])
    return pa.table(columns)


def write_predictions(path: Path, evaluation: Evaluation) -> None:
    """Write the table whole or not at all."""
    table = predictions_table(evaluation)
    if path.suffix == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in table.to_pylist())
        return write_whole(path, "".join(lines).encode())
    made = io.BytesIO()
    if path.suffix == ".csv":
        from pyarrow import csv

        csv.write_csv(table, made)
    else:
        from pyarrow import parquet

        parquet.write_table(table, made, compression="zstd")
    return write_whole(path, made.getvalue())


def _column(values: Tensor) -> pa.Array:
    return pa.array(values.float().numpy(), pa.float32(), from_pandas=True)  # from_pandas: NaN is null
