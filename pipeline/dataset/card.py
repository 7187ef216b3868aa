"""The dataset card of a version: README.md as Hugging Face `datasets` reads it, for people and for `load_dataset`.

    VERSION/README.md   its head names the files of each split, so that load_dataset(VERSION) has splits and features

Source of the form: Hugging Face Hub, “Dataset Cards” and “Manual Configuration”.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mimdata.pipeline.store.folder import Folder

FILE = "README.md"
HF_SPLITS = {"valid": "validation"}  # what `datasets` calls them
MIM = (
    "Zeng, Mai, Yan, Hu: Multimodal Reaction: Information Modulation for Cross-Modal Representation Learning. "
    "IEEE Transactions on Multimedia, 2024"
)

# By the name of a corpus, for versions whose configuration names no other.
PUBLICATIONS = {
    "mosi": "Zadeh, Zellers, Pincus, Morency: Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal "
    "Messages. IEEE Intelligent Systems 31(6), 2016",
    "mosei": "Zadeh, Liang, Poria, Cambria, Morency: Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and "
    "Interpretable Dynamic Fusion Graph. ACL 2018",
    "ch-sims": "Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang: CH-SIMS: A Chinese Multimodal Sentiment Analysis Dataset with "
    "Fine-grained Annotations of Modality. ACL 2020",
    "meld": "Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: MELD: A Multimodal Multi-Party Dataset for Emotion "
    "Recognition in Conversations. ACL 2019",
    "iemocap": "Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: Interactive Emotional Dyadic "
    "Motion Capture Database. Language Resources and Evaluation 42(4), 2008",
    "mustard": "Castro, Hazarika, Pérez-Rosas, Zimmermann, Mihalcea, Poria: Towards Multimodal Sarcasm Detection (An "
    "_Obviously_ Perfect Paper). ACL 2019",
    "ur-funny": "Hasan, Rahman, Zadeh, Zhong, Tanveer, Morency, Hoque: UR-FUNNY: A Multimodal Language Dataset for "
    "Understanding Humor. EMNLP-IJCNLP 2019",
}


def write_card(staging: Folder, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the card of a manifest's content; returns what the manifest says of it."""
    text = card(content).encode()
    staging.write(FILE, text)
    return {"file": FILE, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def card(content: Mapping[str, Any]) -> str:
    """The card's text. It holds no date and no name of the version: equal contents have equal cards."""
    config = content["config"]
    sections = [
        _head(content),
        f"# {content['corpus']}, aligned to words",
        "One row an utterance; lists over its words. Written by mimdata; `manifest.json` beside this file says by which steps, "
        "weights and libraries, with the digest of every file, and `lineage.parquet` where each row comes from.",
        _counts(content),
        _labels(content),
        _modalities(content),
        "## Columns\n\n" + "\n".join(f"* `{name}`: {kind}" for name, kind in content["schema"].items()),
        "Where `M_valid` is false the values of M are zero and mean nothing.",
        "## Use\n\n"
        '    from datasets import load_dataset\n    data = load_dataset("…/this/folder")\n\n'
        "or any reader of Parquet: pandas, polars, DuckDB. `mimdata train --dataset …/this/folder` trains on it.",
        "## Terms\n\n"
        + (
            config.get("license")
            or "Those of the corpus; whoever made this version has not named them (`[dataset] license`)."
        ),
        "## To cite\n\n"
        + "\n".join(
            f"* {line}"
            for line in (config.get("citation") or PUBLICATIONS.get(content["corpus"]), MIM)
            if line
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(content: Mapping[str, Any]) -> str:
    """YAML, in the part of it that is JSON as well."""
    files: dict[str, list[str]] = {}
    for shard in content["shards"]:
        files.setdefault(HF_SPLITS.get(shard["split"], shard["split"]), []).append(shard["file"])
    data = [{"split": split, "path": paths} for split, paths in files.items()]
    lines = [
        f"configs: {json.dumps([{'config_name': 'default', 'data_files': data}])}",
        f"pretty_name: {json.dumps(str(content['corpus']), ensure_ascii=False)}",
        'tags: ["multimodal", "sentiment-analysis", "emotion-recognition"]',
    ]
    if content["config"].get("license"):
        lines.append(f"license_name: {json.dumps(content['config']['license'], ensure_ascii=False)}")
        lines.append("license: other")
    return "\n".join(["---", *lines, "---"])


def _counts(content: Mapping[str, Any]) -> str:
    modalities = list(content["modalities"])
    rows = [
        f"| {split} | {content['splits'].get(split, 0):,} | {counts['words']:,} | "
        + " | ".join(f"{counts.get(m, 0) / max(counts['words'], 1):.1%}" for m in modalities)
        + " |"
        for split, counts in content["coverage"].items()
    ]
    head = f"| split | utterances | words | {' | '.join(f'words with {m}' for m in modalities)} |"
    return "\n".join([head, f"| --- |{' ---: |' * (2 + len(modalities))}", *rows])


def _labels(content: Mapping[str, Any]) -> str:
    rows = [
        f"| {split} | {column} | {found['count']:,} | {found['mean']:.3f} | {found['std']:.3f} | {found['min']:g} to "
        f"{found['max']:g} | {found['below'] / found['count']:.1%} | {found['above'] / found['count']:.1%} |"
        for split, columns in content["labels"].items()
        for column, found in columns.items()
    ]
    head = "| split | label | utterances | mean | deviation | range | below 0 | above 0 |"
    return "\n".join([head, f"| --- | --- |{' ---: |' * 6}", *rows]) if rows else ""


def _modalities(content: Mapping[str, Any]) -> str:
    lines = []
    for name, about in content["modalities"].items():
        step = about["step"]
        parameters = ", ".join(f"{key} = {value}" for key, value in step.get("parameters", {}).items())
        described = f"{step.get('step', 'unknown')} {step.get('version', '')}".strip()
        lines.append(
            f"* `{name}`: {about['dim']} features by {described}" + (f" ({parameters})" if parameters else "")
        )
    return "## Features\n\n" + "\n".join(
        [*lines, f"* words placed by {content['aligner'].get('step', 'unknown')}"]
    )
