"""`mimdata import pickle` and `mimdata export pickle`."""

from __future__ import annotations

from pathlib import Path

import click

from mimdata.pipeline.commands.options import CORPUS, JSON, STORE, configuration, print_json
from mimdata.pipeline.terminal import say


@click.command("pickle")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--corpus", metavar="NAME", help="What the store calls it.  [default: the file's name]")
@STORE
@click.option("--text-model", metavar="PATH|NAME", default="minilm", help="Encodes words without values.")
@click.option("--split", type=click.Choice(["train", "valid", "test"]), help="Which fold a bare list is.")
@JSON
def import_command(
    file: Path, corpus: str | None, store: str | None, text_model: str, split: str | None, as_json: bool
) -> None:
    """A pickle of published features, word by word, as a dataset version.

    Nothing in the file is run. Forms: docs/exchange.md.
    """
    from mimdata.pipeline.extractors.bert import BertExtractor
    from mimdata.pipeline.files import file_digest
    from mimdata.pipeline.formats.pickles import read_forms
    from mimdata.pipeline.importing import Source, import_utterances
    from mimdata.pipeline.store.folder import Folder

    name = corpus or file.stem
    config = configuration(None, (), (), store=store, corpus=name)
    form, utterances = read_forms(file, split)
    source = Source(file.name, file_digest(file), form)
    done = import_utterances(Folder(config.store), name, utterances, source, BertExtractor(text_model))
    m = done.manifest
    if as_json:
        about = {"corpus": name, "version": m.version, "digest": m.digest, "rows": m.rows}
        print_json({**about, "form": form, "computed": done.computed, "masked": dict(done.masked)})
        return
    for modality, n in done.masked.items():
        say(f"{modality}: {n} words hold NaN or infinity and are masked.")
    say(f"Dataset {name} {m.version}: {m.rows} utterances ({done.computed} computed), digest {m.digest}")


@click.command("pickle")
@click.argument("version", default="latest")
@CORPUS
@STORE
@click.option("--form", type=click.Choice(["mag-bert", "mmsa", "mult"]), required=True, help="Whose form.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A file."
)
def export_command(version: str, corpus: str | None, store: str | None, form: str, output: Path) -> None:
    """A dataset version as a pickle that published code trains on."""
    from mimdata.pipeline.commands.versions import versions_of
    from mimdata.pipeline.pickle_export import export_pickle

    rows, left = export_pickle(*versions_of(corpus, store).find(version), form, output)
    if left:
        say(f"{left} utterances without a split are left out.")
    say(f"{output}: {rows} utterances in the form of {form}")
