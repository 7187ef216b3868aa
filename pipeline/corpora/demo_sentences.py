"""Sentences of clear sentiment for the demo corpus: any number, all different, scored by their words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# Adjective: sentiment, then the emotion that it speaks of and how strongly. Ours, made up for the demo.
ADJECTIVES: Mapping[str, tuple[float, str, float]] = {
    "wonderful": (2.4, "happy", 2.4),
    "terrible": (-2.4, "anger", 1.8),
    "lovely": (2.0, "happy", 2.0),
    "disgusting": (-2.3, "disgust", 2.4),
    "great": (1.8, "happy", 1.8),
    "sad": (-1.6, "sad", 2.2),
    "amazing": (2.3, "surprise", 1.6),
    "frightening": (-1.7, "fear", 2.2),
    "good": (1.2, "happy", 1.2),
    "disappointing": (-1.8, "sad", 1.4),
    "pleasant": (1.0, "happy", 0.8),
    "annoying": (-1.4, "anger", 1.4),
    "fine": (0.6, "happy", 0.3),
    "boring": (-1.0, "sad", 0.5),
    "ordinary": (0.0, "happy", 0.0),
    "dull": (-0.6, "sad", 0.3),
}
DEGREES = {"": 0.0, "really": 0.4, "extremely": 0.6, "rather": -0.3, "slightly": -0.4}
NOUNS = [
    "movie",
    "story",
    "actor",
    "music",
    "ending",
    "camera",
    "hotel",
    "dinner",
    "phone",
    "service",
    "book",
    "garden",
    "picture",
    "weather",
    "game",
    "concert",
    "coffee",
    "teacher",
    "lesson",
    "village",
    "market",
    "museum",
    "journey",
    "party",
]
OPENINGS = (
    "I think the",
    "I must say the",
    "people told me this",
    "my friends said the",
    "honestly this",
    "the",
)
TAILS = ("", "today", "last summer", "from beginning to end", "for everyone", "this time")


@dataclass(frozen=True)
class Sentence:
    """A text with its sentiment in [−3, 3] and its emotions in [0, 3] by name."""

    text: str
    sentiment: float
    emotions: Mapping[str, float] = field(default_factory=dict)


def sentence(index: int, seed: int = 0) -> Sentence:
    """Sentence number `index` ≥ 0; different numbers give different texts.

    Adjectives take turns, so that a few sentences in a row hold both signs; all else is a walk through every
    combination. Past the last (69,120) a second clause follows the first.
    """
    sizes = (len(OPENINGS), len(NOUNS), len(DEGREES), len(TAILS))
    combinations = math.prod(sizes)
    rest, turn = divmod(index, len(ADJECTIVES))
    more, position = divmod(rest, combinations)
    rng = np.random.default_rng([seed, turn])
    place = (position * _step(combinations, rng) + int(rng.integers(combinations))) % combinations
    opening, noun, degree, tail = (int(i) for i in np.unravel_index(place, sizes))
    adjective = list(ADJECTIVES)[turn]
    clause = _clause(OPENINGS[opening], NOUNS[noun], list(DEGREES)[degree], adjective, TAILS[tail])
    if not more:
        return clause
    return _joined(clause, sentence(more - 1, seed + 1))


def _step(combinations: int, rng: np.random.Generator) -> int:
    """A stride without a common divisor, so that the walk meets every combination once."""
    while True:
        step = int(rng.integers(combinations // 3, combinations))
        if math.gcd(step, combinations) == 1:
            return step


def _clause(opening: str, noun: str, degree: str, adjective: str, tail: str) -> Sentence:
    value, emotion, strength = ADJECTIVES[adjective]
    factor = 1 + DEGREES[degree]
    text = " ".join(part for part in (opening, noun, "was", degree, adjective, tail) if part)
    emotions = {emotion: round(min(3.0, strength * factor), 2)} if strength else {}
    return Sentence(text[0].upper() + text[1:], round(max(-3.0, min(3.0, value * factor)), 2), emotions)


def _joined(first: Sentence, second: Sentence) -> Sentence:
    """Two clauses: the mean of their sentiments, the stronger of each emotion."""
    names = {*first.emotions, *second.emotions}
    emotions = {
        name: max(first.emotions.get(name, 0), second.emotions.get(name, 0)) for name in sorted(names)
    }
    text = f"{first.text}, and {second.text[0].lower()}{second.text[1:]}"
    text = text.replace(", and i ", ", and I ")
    return Sentence(text, round((first.sentiment + second.sentiment) / 2, 2), emotions)
