"""Where a CTC model's files are, and which of them shape the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import UsageError

CONFIG = "config.json"
VOCABULARY = "vocab.json"
# A model may say how its sound is scaled, and its letters are cased, in one of these or another.
SETTINGS = (
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def model_folder(model: str, language: str | None = None) -> Path:
    """The folder of a CTC model that writes this language (None: the one it writes by itself).

    Raises UsageError that says where to get it, if it is not at hand, or what it is instead.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _cached(model)
    for name, what in ((CONFIG, "is no model"), (VOCABULARY, "has no vocabulary, so it cannot spell")):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} {what}: it holds no {name}. "
                "Give the folder of a Hugging Face CTC model with --set aligner.model=FOLDER (docs/weights.md)"
            )
    made_for = _read(folder / CONFIG).get("architectures") or ["ForCTC"]
    if not any(str(one).endswith("ForCTC") for one in made_for):
        raise UsageError(
            f"{folder} holds a {made_for[0]}: give a model that was fine-tuned with CTC (docs/alignment.md)"
        )
    _check_language(folder, language)
    return folder


def _check_language(folder: Path, language: str | None) -> None:
    """A model of many languages has an alphabet for each, of which one must be chosen."""
    vocabulary = _read(folder / VOCABULARY)
    if not any(isinstance(letters, dict) for letters in vocabulary.values()):
        return
    settings = folder / "tokenizer_config.json"
    chosen = language or (_read(settings).get("target_lang") if settings.is_file() else None)
    if str(chosen) not in vocabulary:
        what = "none is chosen" if chosen is None else f"{chosen!r} is not among them"
        some = ", ".join(sorted(vocabulary)[:5])
        raise UsageError(
            f"{folder} writes {len(vocabulary)} languages, and {what}: "
            f"choose one with --set aligner.language=CODE, such as {some}"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}; fetch it again (docs/weights.md)") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no table of names: fetch it again (docs/weights.md)")
    return found


def _cached(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise UsageError(
            f"the CTC model {model!r} is neither a folder nor in the local Hugging Face cache: fetch it with "
            f"`hf download {model}`, or give its folder with --set aligner.model=FOLDER (docs/weights.md)"
        ) from error


def model_files(folder: Path, language: str | None) -> list[Path]:
    """Configuration, vocabulary and weights, among them the adapter of a language. Raises UsageError without them."""
    weights = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise UsageError(
            f"{folder} holds neither model*.safetensors nor pytorch_model*.bin (docs/weights.md)"
        )
    settings = [folder / name for name in SETTINGS if (folder / name).is_file()]
    adapters = [] if language is None else [_adapter(folder, language)]
    return [folder / CONFIG, folder / VOCABULARY, *settings, *weights, *adapters]


def _adapter(folder: Path, language: str) -> Path:
    """The weights that turn a multilingual model to one language."""
    for suffix in ("safetensors", "bin"):
        if (path := folder / f"adapter.{language}.{suffix}").is_file():
            return path
    there = sorted(path.name.split(".")[1] for path in folder.glob("adapter.*.*"))
    raise UsageError(
        f"{folder} holds no adapter.{language}.safetensors: fetch it into that folder (docs/weights.md), or set "
        f"aligner.language to what is there: {', '.join(there) or 'nothing, the model has no adapters'}"
    )
