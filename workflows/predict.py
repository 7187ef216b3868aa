"""`mimdata predict`: a trained model on one new recording, through the steps that made its dataset."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.terminal import json_line, say

if TYPE_CHECKING:
    from mimdata.mim.checkpoint import Description
    from mimdata.mim.one_clip import OneClip
    from mimdata.pipeline.config import RunConfig
    from mimdata.pipeline.records import Clip, GivenWord

CORPUS = "new"  # what the recording is called in its passing store
NEEDS_WORDS = ("given", "textgrid")  # aligners that find no word by themselves
# What a step cannot take from the checkpoint: where its weights lie. By step: its parameter, our option for it.
PLACES = {"bert": ("model", "--text-model"), "facenet": ("face_weights", "--face-weights")}


@click.command("predict")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--text", help="What is said; the words are placed in the sound.")
@click.option(
    "--words",
    "words_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What is said and when, instead: a JSON list of {word, start, end}, seconds from the utterance's start.",
)
@click.option("--start", type=float, help="Where the utterance begins, in seconds.  [default: with the file]")
@click.option("--end", type=float, help="Where it ends, in seconds.  [default: with the file]")
@click.option("--language", default="en", show_default=True, help="Of what is said.")
@click.option("--text-model", metavar="PATH|NAME", help="The encoder of the training.  [default: minilm]")
@click.option(
    "--face-weights", type=click.Path(), help="The VGGFace2 weights of the training, if it had any."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the tables.")
def predict_command(
    checkpoint: Path,
    recording: Path,
    text: str | None,
    words_file: Path | None,
    start: float | None,
    end: float | None,
    language: str,
    text_model: str | None,
    face_weights: str | None,
    as_json: bool,
) -> None:
    """Say what CHECKPOINT, a run's folder or a model.safetensors, makes of RECORDING, a film or a sound file.

    The recording goes through the extractors, aligner and pooling of the model's dataset, and is standardised as
    in training. Nothing is kept.
    """
    from mimdata.mim.checkpoint import load
    from mimdata.mim.commands.places import weights_of
    from mimdata.mim.display import show_explanation

    clip = _clip(recording, text, words_file, start, end, language)
    model, description = load(weights_of(checkpoint))
    config = _config(description, {"bert": text_model, "facenet": face_weights}, timed=clip.words is not None)
    with tempfile.TemporaryDirectory(prefix="mimdata-") as store:
        config = config.model_copy(update={"store": store})
        read, remarks = _prepared(clip, recording, config, description)
    content = _content(clip, recording, read, _predicted(model, read))
    for remark in (*remarks, *_remarks(read, content, description)):
        say(remark, err=True)
    if as_json:
        say(json_line(content, allow_nan=False))
        return
    show_explanation(content)
    say(_verdict(content, description))


def _clip(
    recording: Path,
    text: str | None,
    words_file: Path | None,
    start: float | None,
    end: float | None,
    language: str,
) -> Clip:
    """The utterance. Raises UsageError for a file, a span or words that cannot be one."""
    from mimdata.pipeline.corpora.rules import fault
    from mimdata.pipeline.records import Clip

    if not recording.is_file():
        raise UsageError(f"no recording at {recording}: give a film or a sound file")
    if (text is None) == (words_file is None):
        raise UsageError("what is said comes by --text or by --words: give one of them")
    words = _timed_words(words_file) if words_file else None
    said = text if text is not None else " ".join(word.word for word in words or ())
    clip = Clip(
        f"{recording.stem}[0]",
        recording.stem,
        0,
        recording.name,
        start,
        end,
        " ".join(said.split()),
        language,
        "test",
        words=words,
    )
    if problem := fault(clip):
        raise UsageError(f"{problem.message}: {problem.hint}")
    return clip


def _timed_words(file: Path) -> tuple[GivenWord, ...]:
    """The words of a JSON list, or of the `words` of an object such as `explain --json` prints."""
    from pydantic import TypeAdapter, ValidationError

    from mimdata.pipeline.corpora.manifest_fields import Word
    from mimdata.pipeline.records import GivenWord

    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        listed = document["words"] if isinstance(document, dict) else document
        words = TypeAdapter(list[Word]).validate_python(listed)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise UsageError(
            f"{file}: {where}: {first['msg']}; expected a JSON list of {{word, start, end}}"
        ) from error
    except (ValueError, KeyError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON list of {{word, start, end}}: {error}") from error
    spaced = next((word.word for word in words if len(word.word.split()) != 1), None)
    if spaced is not None:
        raise UsageError(f"{file}: {spaced!r} is not one word: give one entry a word")
    return tuple(GivenWord(word.word, word.start, word.end) for word in words)


def _config(description: Description, places: Mapping[str, str | None], *, timed: bool) -> RunConfig:
    """The configuration whose steps are those of the training. Raises UsageError where they cannot be had."""
    from mimdata.pipeline.config import RunConfig, StepConfig

    extractors = {}
    for modality, about in description.content["modalities"].items():
        step = about["step"]
        if not step:
            raise UsageError(
                f"the model's {modality} features come from no extractor of mimdata ({description.content['dataset']['corpus']}): "
                "a recording can be predicted by models that were trained on what `mimdata extract` made"
            )
        parameter, _ = PLACES.get(step["step"], ("", ""))
        place = places.get(step["step"])
        given = {parameter: place} if place else {}
        extractors[modality] = StepConfig(name=step["step"], **{**step["parameters"], **given})
    aligner = description.content["aligner"]
    pooling = {k: v for k, v in description.content["pooling"].items() if k != "version"}
    if timed:
        chosen = StepConfig(name="given")
    elif aligner["step"] in NEEDS_WORDS:
        chosen = RunConfig().aligner
    else:
        chosen = StepConfig(name=aligner["step"], **aligner.get("parameters", {}))
    config = RunConfig.model_validate(
        {"extractors": extractors, "aligner": chosen, "pooling": pooling, "workers": 0, "corpus": CORPUS}
    )
    _check_weights(description, config)
    return config


def _check_weights(description: Description, config: RunConfig) -> None:
    """Raises UsageError where a step's weights are not those of the training, before anything is computed."""
    from mimdata.pipeline.store.fingerprint import differences, step_identity

    for modality, step in config.build_extractors().items():
        trained = description.content["modalities"][modality]["step"]
        here = step_identity(step)
        if different := differences(trained["weights"], here["weights"]):
            option = PLACES.get(step.name, ("", "another version of the extractor"))[1]
            raise UsageError(
                f"the model was trained on {modality} features of other weights ({different[0]}): "
                f"give those of the training with {option}"
            )


def _prepared(
    clip: Clip, recording: Path, config: RunConfig, description: Description
) -> tuple[OneClip, tuple[str, ...]]:
    """Extract and align the utterance in the configuration's store. Raises MimdataError where that fails."""
    from mimdata.mim.dataset import open_dataset
    from mimdata.mim.fitting import fitted
    from mimdata.mim.one_clip import one_clip
    from mimdata.pipeline.execute import Workers
    from mimdata.pipeline.jobs import align, extract
    from mimdata.pipeline.listing import Listing
    from mimdata.pipeline.run import Options, Run
    from mimdata.pipeline.steps import Resources
    from mimdata.pipeline.store.folder import Folder
    from mimdata.pipeline.store.snapshot import Snapshot
    from mimdata.pipeline.store.sources import Sources

    store = Folder(config.store)
    with Workers(0) as workers:
        run = Run(
            config=config,
            options=Options(),
            corpus=CORPUS,
            root=recording.absolute().parent,
            store=store,
            snapshot=Snapshot(store, CORPUS),
            listing=Listing([clip], [clip], []),
            sources=Sources(store),
            workers=workers,
            resources=Resources(),
        )
        extract(run)
        align(run)
    dataset = open_dataset(Path(config.store), CORPUS)
    found = fitted(dataset, description, description.config.modalities, labelled=False)
    return one_clip(found.dataset, clip.clip_id, description), found.remarks


def _predicted(model: Any, read: OneClip) -> dict[str, Any]:
    from dataclasses import replace

    import torch

    from mimdata.mim.explain import explain

    outputs = model.classifiers[model.modalities[0]].out_features
    unlabelled = replace(read.batch, emotions=torch.full((1, outputs), torch.nan))
    return explain(model, unlabelled)[0].to_json()


def _content(clip: Clip, recording: Path, read: OneClip, made: dict[str, Any]) -> dict[str, Any]:
    about = {"source": str(recording), "start": clip.start, "end": clip.end, "text": clip.text}
    return about | made | {"words": list(read.words), "alignment": read.alignment}


def _remarks(read: OneClip, content: Mapping[str, Any], description: Description) -> list[str]:
    """What a person should know before they trust the prediction."""
    absent = [m for m, branch in content["modalities"].items() if branch["purified"] is None]
    if len(absent) == len(content["modalities"]):
        raise MimdataError("the recording has nothing that the model reads: no sound, no face and no words")
    guessed = sum(word["status"] == "interpolated" for word in read.words)
    remarks = [f"No value of {', '.join(absent)}: the prediction comes from the rest"] if absent else []
    if guessed:
        remarks.append(
            f"{guessed} of {len(read.words)} words were not found in the sound and are placed by estimate ({read.alignment})"
        )
    if read.cut:
        remarks.append(f"The model reads {description.config.steps} words: the last {read.cut} are left out")
    return remarks


def _verdict(content: Mapping[str, Any], description: Description) -> str:
    import math

    values = content["prediction"]
    if description.config.task == "sentiment":
        return f"Sentiment {values[0]:+.2f} on the scale from −3 to +3"
    names = description.content["emotions"]
    return ", ".join(f"{name} {1 / (1 + math.exp(-v)):.0%}" for name, v in zip(names, values, strict=True))
