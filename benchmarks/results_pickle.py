"""The paper's table from the full data: whoever owns the published pickle of MOSI or MOSEI trains MIM on it.

The pickle is the one of MISA, MAG-BERT and MIM: {train, dev, test}, each a list of ((…, visual (w, d), acoustic (w, d), …),
label, "video[k]") whose first part also holds the w words. It is read without running anything that is in it, written as a
dataset version, and trained on with the paper's published settings, its ablations and five seeds.

    python benchmarks/results_pickle.py mosi.pkl --corpus mosi --text-model bert-base-uncased
    python benchmarks/results_pickle.py mosei.pkl --corpus mosei --text-model bert-base-uncased --device cuda

Options that are not listed here go to `mimdata train` (`--epochs 5`, `--set lr=1e-4`). docs/weights.md says where to get
bert-base-uncased; without --text-model the MiniLM that installs with mimdata is trained, which is another model than the paper's.
The runs and their tables lie in the run's folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from word_aligned import TextEncoder, Utterance, write

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.bert import MINILM, encoder_folder
from mimdata.pipeline.formats.unpickle import load

SPLITS = {"train": ("train",), "valid": ("dev", "valid"), "test": ("test",)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pickle", type=Path)
    parser.add_argument("--corpus", choices=("mosi", "mosei"), required=True, help="whose settings")
    parser.add_argument("--text-model", default=MINILM, metavar="PATH|NAME")
    parser.add_argument("--work", type=Path, default=Path(".results"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-ablate", action="store_true", help="MIM alone")
    options, more = parser.parse_known_args(arguments)
    encode = TextEncoder(options.text_model)
    splits = {split: utterances(rows, encode) for split, rows in read(options.pickle).items()}
    print(", ".join(f"{split} {len(mine)}" for split, mine in splits.items()), "utterances")
    version = write(options.work / options.corpus, options.corpus, splits)
    call = ["train", "--dataset", str(version), "--preset", f"{options.corpus}-paper"]
    call += ["--set", f"text_encoder={encoder_folder(options.text_model)}", "--seeds", str(options.seeds)]
    call += [] if options.no_ablate else ["--ablate"]
    train([*call, "--run-dir", str(options.work / f"{options.corpus}-paper"), *more])


def train(call: Sequence[str]) -> None:
    """`mimdata train`, in this process."""
    from mimdata.pipeline.cli import main as mimdata

    mimdata(list(call), standalone_mode=False)


def read(path: Path) -> dict[str, list[Any]]:
    """The rows of each split. Raises MimdataError for another kind of pickle."""
    document = load(path)
    if not isinstance(document, Mapping):
        raise MimdataError(f"{path} holds a {type(document).__name__}: expected {{train, dev, test}}")
    found = {s: next((document[n] for n in names if n in document), None) for s, names in SPLITS.items()}
    missing = [SPLITS[split][0] for split, rows in found.items() if rows is None]
    if missing:
        raise MimdataError(f"{path} has no {', '.join(missing)}: found {', '.join(map(str, document))}")
    return {split: rows for split, rows in found.items() if rows is not None}


def utterances(rows: Sequence[Any], encode: TextEncoder) -> list[Utterance]:
    """Rows of the pickle with the text encoder's word states. Raises MimdataError for a row without words."""
    made = []
    for parts, label, name in rows:
        words = next((list(p) for p in parts if len(p) and isinstance(p[0], str)), None)
        if words is None:
            raise MimdataError(
                f"{name} has no words, only numbers: give the pickle that holds the words themselves"
            )
        visual, acoustic = (
            np.nan_to_num(np.asarray(p, np.float32), posinf=0, neginf=0)
            for p in (p for p in parts if np.ndim(p) == 2)
        )
        values = {"audio": acoustic, "vision": visual}
        made.append(encode.utterance(str(name), words, float(np.ravel(label)[0]), values))
    return made


if __name__ == "__main__":
    main()
