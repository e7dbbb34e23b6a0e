"""Texts to learn from, and the entropy that a language model has to beat.

A model that predicts each character from the one before it can do no better on a text, on
average, than the text's `bigram_entropy`. A model with attention reads further back, so its loss
must fall below that number; if it does not, attention has contributed nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import fsum, log
from pathlib import Path

from vesalius.diagrams.errors import FormatError

MIN_CHARACTERS = 300
"""Below this, a text is refused: nothing can be learned from it, let alone held out."""


@cache
def default_text() -> str:
    """The text that ships with the package: Milton's *Paradise Lost*, 456,090 characters.

    >>> default_text().splitlines()[4]
    "Of Man's first disobedience, and the fruit"
    """
    data = files("vesalius.lab") / "data" / "paradise_lost.txt"
    return data.read_text(encoding="utf-8")


def load_text(path: str | os.PathLike[str]) -> str:
    """The text in a UTF-8 file, with Unix line ends and without a byte order mark.

    Raises `FormatError` if there is no such file, if it can't be read, if it is not UTF-8 text,
    or if it holds fewer than `MIN_CHARACTERS` characters.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot read the text {path}: {error.strerror or error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise FormatError(
            f"the text {path} is not UTF-8: byte 0x{byte:02x} at offset {error.start} "
            f"({error.reason}); convert it first"
        ) from None
    if "\0" in text:
        raise FormatError(f"{path} is not a text: it has a null character at {text.index(chr(0))}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < MIN_CHARACTERS:
        raise FormatError(
            f"the text {path} has {len(text)} characters; at least {MIN_CHARACTERS} are needed"
        )
    return text


def split(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """The text cut in two: the part to train on, and the last `held_out` of it to test on.

    The cut is at one place, not at random lines, so that no test passage has its neighbours among
    the training passages. Both parts have at least one character.

    >>> split("to be or not to be", held_out=0.25)
    ('to be or not ', 'to be')
    """
    if not 0 < held_out < 1:
        raise FormatError(f"held_out must lie between 0 and 1, not {held_out}")
    if len(text) < 2:
        raise FormatError(f"a text of {len(text)} characters cannot be cut in two")
    cut = int(len(text) * (1 - held_out))
    cut = min(max(cut, 1), len(text) - 1)
    return text[:cut], text[cut:]


def unigram_entropy(text: str) -> float:
    """Entropy of one character of the text, in nats.

    >>> round(unigram_entropy("abab") / log(2), 6)
    1.0
    """
    if not text:
        raise FormatError("an empty text has no entropy")
    return _entropy(Counter(text), len(text))


def bigram_entropy(text: str) -> float:
    """Entropy of a character of the text given the one before it, in nats per character.

    H(next | previous) = H(previous, next) - H(previous), of the empirical distribution of pairs of
    neighbours. It is at most `unigram_entropy(text[1:])`, and zero if each character determines
    the next.

    >>> bigram_entropy("abcabcabc")
    0.0
    >>> round(bigram_entropy(default_text()), 3)
    2.422
    """
    pairs = len(text) - 1
    if pairs < 1:
        raise FormatError(f"a text of {len(text)} characters has no pairs of neighbours")
    joint = Counter(pairwise(text))
    previous = Counter(text[:-1])
    # Each term is >= 0, so that the sum is exactly zero when each character determines the next.
    return fsum(count * log(previous[first] / count) for (first, _), count in joint.items()) / pairs


def _entropy(counts: Counter[str], total: int) -> float:
    return fsum(count * log(total / count) for count in counts.values()) / total
