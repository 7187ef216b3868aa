"""`mimdata import pickle` and `mimdata export pickle`."""

from __future__ import annotations

from pathlib import Path

import click

from mimdata.pipeline.commands.options import CORPUS, JSON, STORE, configuration, print_json
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.terminal import say


@click.command("pickle")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--corpus", metavar="NAME", help="What the store calls it.  [default: the file's name]")
@STORE
@click.option(
    "--text-model",
    metavar="PATH|NAME",
    default="minilm",
    help="Encodes words without values; MMSA's word pieces are in its vocabulary.",
)
@click.option("--split", type=click.Choice(["train", "valid", "test"]), help="Which fold a bare list is.")
@click.option(
    "--spread-frames", is_flag=True, help="Share frames without times out by the letters of the words."
)
@click.option(
    "--vocabulary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="{word: number} as JSON or a pickle, for files that have numbers of words alone.",
)
@JSON
def import_command(
    file: Path,
    corpus: str | None,
    store: str | None,
    text_model: str,
    split: str | None,
    spread_frames: bool,
    vocabulary: Path | None,
    as_json: bool,
) -> None:
    """A pickle of published features, word by word, as a dataset version.

    FILE may be a folder of train.pkl, dev.pkl and test.pkl, as MISA has it. Nothing in the file is run. Forms: docs/exchange.md.
    """
    from mimdata.pipeline.extractors.bert import BertExtractor
    from mimdata.pipeline.files import file_digest
    from mimdata.pipeline.formats.pickles import files_of, read_forms, read_vocabulary
    from mimdata.pipeline.formats.word_values import Reading
    from mimdata.pipeline.importing import Source, import_utterances
    from mimdata.pipeline.store.fingerprint import digest
    from mimdata.pipeline.store.folder import Folder

    name = corpus or file.stem
    config = configuration(None, (), (), store=store, corpus=name)
    reading = Reading(spread_frames, text_model, read_vocabulary(vocabulary) if vocabulary else {})
    form, utterances = read_forms(file, split, reading)
    files = files_of(file) + ([vocabulary] if vocabulary else [])
    sha256 = file_digest(file) if files == [file] else digest(" ".join(map(file_digest, files)))
    source = Source(file.name, sha256, form)
    done = import_utterances(Folder(config.store), name, utterances, source, BertExtractor(text_model))
    m = done.manifest
    if as_json:
        about = {"corpus": name, "version": m.version, "digest": m.digest, "rows": m.rows}
        print_json({**about, "form": form, "computed": done.computed, "masked": dict(done.masked)})
        return
    if (how := utterances[0].alignment) != "published":
        say(f"Frames are {how} over the words by their letters: nobody knows when these were said.")
    for modality, n in done.masked.items():
        say(f"{modality}: {n} words hold NaN or infinity and are masked.")
    say(f"Dataset {name} {m.version}: {m.rows} utterances ({done.computed} computed), digest {m.digest}")


@click.command("pickle")
@click.argument("version", default="latest")
@CORPUS
@STORE
@click.option(
    "--form", type=click.Choice(["mag-bert", "misa", "mmsa", "mult"]), required=True, help="Whose form."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="A file; MISA's form: a folder."
)
@click.option("--unaligned", is_flag=True, help="Frames of voice and face instead of their means by word.")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="At most so many of a clip; where there are more, means over equal parts.",
)
def export_command(
    version: str, corpus: str | None, store: str | None, form: str, output: Path, unaligned: bool, frames: int
) -> None:
    """A dataset version as a pickle that published code trains on."""
    from mimdata.pipeline.commands.versions import versions_of
    from mimdata.pipeline.pickle_export import Frames, export_pickle

    if unaligned and form not in ("mmsa", "mult"):
        raise UsageError(f"--unaligned takes --form mmsa or mult: the form {form} is made of words")
    versions = versions_of(corpus, store)
    found = Frames(versions.store, frames) if unaligned else None
    rows, left = export_pickle(*versions.find(version), form, output, found)
    if left:
        say(f"{left} utterances without a split are left out.")
    say(f"{output}: {rows} utterances in the form of {form}")
