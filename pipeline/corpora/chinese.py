"""Chinese transcripts as words at white space: each character a word, punctuation with the one before it."""

from __future__ import annotations

import re

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Unicode's blocks of unified ideographs
OPENING = "“‘（《【「『("  # stays with the character after it
CHARACTER = re.compile(f"[{HAN}]")
BEFORE = re.compile(rf"(?<=[^\s{OPENING}])(?=[{HAN}])")
AFTER = re.compile(rf"(?<=[{HAN}])(?=[A-Za-z0-9])")


def has_chinese(text: str) -> bool:
    """Whether a Chinese character is in `text`."""
    return CHARACTER.search(text) is not None


def spaced(text: str) -> str:
    """White space between characters, as BERT's Chinese vocabulary has it: "我很OK。" → "我 很 OK。"."""
    return AFTER.sub(" ", BEFORE.sub(" ", text))
