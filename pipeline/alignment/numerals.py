"""Numbers as English speaks them: cardinals, ordinals, years, decimals, sums of money and times of day."""

from __future__ import annotations

import re

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion")
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONEY = {
    "$": ("dollar", "dollars"),
    "£": ("pound", "pounds"),
    "€": ("euro", "euros"),
    "¥": ("yen", "yen"),
    "¢": ("cent", "cents"),
}
_MAGNITUDES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_SPOKEN_FRACTIONS = (2, 3, 4, 5, 8, 10)  # 9/11 is a date, 24/7 a habit

# In the order in which they are tried; a digit or a letter must not follow.
_AMOUNT = r"\d{1,3}(?:,\d{3})+|\d+"
NUMERAL = re.compile(
    rf"""
    (?P<currency>[$£€¥]) (?P<money>(?:{_AMOUNT})(?:\.\d+)?|\.\d+) (?P<magnitude>k|m|bn|b)? (?![a-z\d])
  | (?P<hours>\d{{1,2}}) : (?P<minutes>[0-5]\d) (?!\d)
  | (?P<ordinal>{_AMOUNT}) (?:st|nd|rd|th) (?![a-z\d])
  | (?P<decade>\d*0) '?s (?![a-z\d])
  | (?P<above>\d{{1,2}}) / (?P<below>\d{{1,2}}) (?![\d/])
  | (?P<low>\d+) [-–] (?P<high>\d+) (?![\d-])
  | (?P<whole>{_AMOUNT})? \. (?P<decimals>\d+)
  | (?P<integer>{_AMOUNT})
    """,
    re.VERBOSE,
)


def spoken_numeral(match: re.Match[str]) -> list[str]:
    """The words of what NUMERAL matched, in lower case, without hyphens."""
    part = match.groupdict()
    if part["currency"]:
        return _money(part["currency"], part["money"], part["magnitude"])
    if part["hours"]:
        return _clock(part["hours"], part["minutes"])
    if part["ordinal"]:
        return ordinal(_integer(part["ordinal"]))
    if part["decade"]:
        return _plural(integer(part["decade"]))
    if part["above"]:
        return _fraction(int(part["above"]), int(part["below"]))
    if part["low"]:
        return _range(part["low"], part["high"])
    if part["decimals"]:
        return _decimal(part["whole"] or "", part["decimals"])
    return integer(part["integer"])


def cardinal(n: int) -> list[str]:
    """0 → zero, 1984 → one thousand nine hundred eighty four. Raises ValueError outside 0 … 10^15 − 1."""
    if not 0 <= n < 10**15:
        raise ValueError(f"only numbers from 0 to 10^15 − 1 have names here, not {n}")
    if n < 100:
        tens, ones = divmod(n, 10)
        if n < 20:
            return [_ONES[n]]
        return [_TENS[tens], *([_ONES[ones]] if ones else [])]
    if n < 1000:
        hundreds, rest = divmod(n, 100)
        return [_ONES[hundreds], "hundred", *(cardinal(rest) if rest else [])]
    words: list[str] = []
    for power in range(len(_SCALES) - 1, -1, -1):
        group = n // 1000**power % 1000
        if group:
            words += [*cardinal(group), *([_SCALES[power]] if power else [])]
    return words


def ordinal(n: int) -> list[str]:
    """3 → third, 21 → twenty first."""
    *before, last = cardinal(n) if n < 10**15 else digits(str(n))
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return [*before, last]


def integer(text: str) -> list[str]:
    """The reading of a run of digits: a year where it looks like one, digits where it looks like a code."""
    if len(text) == 4 and text.isdigit() and (1100 <= int(text) < 2000 or 2010 <= int(text) < 2100):
        return _year(int(text))
    if (len(text) > 1 and text[0] == "0") or len(text.replace(",", "")) > 15:
        return digits(text.replace(",", ""))
    return cardinal(_integer(text))


def digits(text: str) -> list[str]:
    """Digit by digit."""
    return [_ONES[int(digit)] for digit in text]


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


def _year(n: int) -> list[str]:
    century, rest = divmod(n, 100)
    if rest == 0:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def _decimal(whole: str, decimals: str) -> list[str]:
    return [*(integer(whole) if whole else []), "point", *digits(decimals)]


def _money(currency: str, amount: str, magnitude: str | None) -> list[str]:
    one, many = _MONEY[currency]
    whole, point, decimals = amount.partition(".")
    unit = one if amount == "1" and not magnitude else many
    if magnitude:
        number = _decimal(whole, decimals) if point else _counted(whole)
        return [*number, _MAGNITUDES[magnitude], unit]
    if len(decimals) == 2 and whole:
        cents = cardinal(int(decimals)) if int(decimals) else []
        return [*_counted(whole), one if whole == "1" else many, *cents]
    return [*(_decimal(whole, decimals) if point else _counted(whole)), unit]


def _counted(text: str) -> list[str]:
    """The cardinal of a run of digits with optional commas; digit by digit when it has no name."""
    plain = text.replace(",", "")
    return cardinal(int(plain)) if len(plain) <= 15 else digits(plain)


def _clock(hours: str, minutes: str) -> list[str]:
    if minutes == "00":
        return [*cardinal(int(hours)), "o'clock"]
    return [*cardinal(int(hours)), *(["oh"] if minutes[0] == "0" else []), *cardinal(int(minutes))]


def _plural(words: list[str]) -> list[str]:
    last = words[-1]
    return [*words[:-1], f"{last[:-1]}ies" if last.endswith("y") else f"{last}s"]


def _fraction(above: int, below: int) -> list[str]:
    if not 0 < above < below or below not in _SPOKEN_FRACTIONS:
        return [*cardinal(above), *cardinal(below)]
    name = {2: "half", 4: "quarter"}.get(below, ordinal(below)[-1])
    return [*cardinal(above), name if above == 1 else f"{name}s"]


def _range(low: str, high: str) -> list[str]:
    """5-6 is five to six, 1990-1995 a span of years; longer codes are telephone numbers, digit by digit."""
    years = len(low) == len(high) == 4
    if years or max(len(low), len(high)) <= 2:
        return [*integer(low), "to", *integer(high)]
    return digits(low + high)
