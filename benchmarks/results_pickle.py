"""The paper's table from the full data: whoever owns the published pickle of MOSI or MOSEI trains MIM on it.

The pickle is the one of MISA, MAG-BERT and MIM: {train, dev, test}, each a list of ((…, visual (w, d), acoustic (w, d), …),
label, "video[k]") whose first part also holds the w words. `mimdata import pickle` makes a dataset version of it, without running anything that is in it,
and `mimdata train` trains on it with the paper's published settings, its ablations and five seeds.

    python benchmarks/results_pickle.py mosi.pkl --corpus mosi --text-model bert-base-uncased
    python benchmarks/results_pickle.py mosei.pkl --corpus mosei --text-model bert-base-uncased --device cuda

Options that are not listed here go to `mimdata train` (`--epochs 5`, `--set lr=1e-4`). docs/weights.md says where to get
bert-base-uncased; without --text-model the MiniLM that installs with mimdata is trained, which is another model than the paper's.
The runs and their tables lie in the run's folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mimdata.pipeline.cli import main as mimdata
from mimdata.pipeline.extractors.bert import MINILM, encoder_folder


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
    where = ["--store", str(options.work / "store"), "--corpus", options.corpus]
    run("import", "pickle", str(options.pickle), *where, "--text-model", options.text_model)
    call = ["train", *where, "--preset", f"{options.corpus}-paper"]
    call += ["--set", f"text_encoder={encoder_folder(options.text_model)}", "--seeds", str(options.seeds)]
    call += [] if options.no_ablate else ["--ablate"]
    run(*call, "--run-dir", str(options.work / f"{options.corpus}-paper"), *more)


def run(*call: str) -> None:
    """One command of mimdata, in this process."""
    mimdata(list(call), standalone_mode=False)


if __name__ == "__main__":
    main()
