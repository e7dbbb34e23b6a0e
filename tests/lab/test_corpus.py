"""Texts: what is read, what is refused, and the laws of the entropies."""

from itertools import pairwise
from math import isclose, log
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vesalius.diagrams.errors import FormatError
from vesalius.lab.corpus import (
    MIN_CHARACTERS,
    bigram_entropy,
    default_text,
    load_text,
    split,
    unigram_entropy,
)

texts = st.text(alphabet="abc d\n", min_size=2, max_size=200)


def test_default_text_is_real_and_clean() -> None:
    text = default_text()
    assert len(text.encode()) >= 300_000
    assert text.startswith("Paradise Lost\n\nBook I\n\nOf Man's first disobedience")
    assert text.endswith("Through Eden took their solitary way.\n")
    assert text.isascii()
    assert not set(text) & set("\r\t\0$*[]0123456789")
    assert text.count("\nBook ") == 12


def test_default_text_is_harder_than_its_bigrams_are_free() -> None:
    text = default_text()
    assert 2.3 < bigram_entropy(text) < 2.5 < unigram_entropy(text) < 3.3


def test_load_text_normalises_line_ends_and_drops_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "naïve\r\nline\rend\n".encode() * 40)
    assert load_text(path) == "naïve\nline\nend\n" * 40
    assert load_text(str(path)) == load_text(path)


def test_load_text_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot read the text .*none\.txt: No such file"):
        load_text(tmp_path / "none.txt")


def test_load_text_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot read the text .*: Is a directory"):
        load_text(tmp_path)


def test_load_text_refuses_what_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes(("x" * 400 + "é").encode("latin-1"))
    with pytest.raises(FormatError, match="not UTF-8: byte 0xe9 at offset 400"):
        load_text(path)


def test_load_text_refuses_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "zeros.bin"
    path.write_bytes(b"ab" + bytes(1000))
    with pytest.raises(FormatError, match="not a text: it has a null character at 2"):
        load_text(path)


@pytest.mark.parametrize("length", [0, 1, MIN_CHARACTERS - 1])
def test_load_text_refuses_a_short_text(tmp_path: Path, length: int) -> None:
    path = tmp_path / "short.txt"
    path.write_text("x" * length)
    with pytest.raises(FormatError, match=f"has {length} characters; at least 300"):
        load_text(path)
    path.write_text("x" * MIN_CHARACTERS)
    assert len(load_text(path)) == MIN_CHARACTERS


@given(texts, st.floats(0.001, 0.999))
def test_split_cuts_once_and_loses_nothing(text: str, held_out: float) -> None:
    train, test = split(text, held_out)
    assert train
    assert test
    assert train + test == text
    assert abs(len(test) - held_out * len(text)) <= 1


@pytest.mark.parametrize("held_out", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_split_refuses_a_share_that_leaves_nothing(held_out: float) -> None:
    with pytest.raises(FormatError, match="between 0 and 1"):
        split("some text", held_out)


def test_split_refuses_a_text_of_one_character() -> None:
    with pytest.raises(FormatError, match="cannot be cut"):
        split("x")


@given(texts)
def test_knowing_the_previous_character_never_hurts(text: str) -> None:
    assert 0 <= bigram_entropy(text) <= unigram_entropy(text[1:]) + 1e-12


@given(st.text(min_size=1, max_size=50))
def test_unigram_entropy_is_at_most_that_of_the_uniform_distribution(text: str) -> None:
    assert 0 <= unigram_entropy(text) <= log(len(set(text))) + 1e-12


@given(st.lists(st.characters(), unique=True, min_size=1, max_size=20), st.integers(2, 10))
def test_a_period_of_distinct_characters_has_no_bigram_entropy(
    period: list[str], repeats: int
) -> None:
    assert bigram_entropy("".join(period) * repeats) == 0


@given(texts, st.permutations("abc d\n"))
def test_entropy_does_not_depend_on_the_letters(text: str, letters: list[str]) -> None:
    renamed = text.translate(dict(zip(map(ord, "abc d\n"), letters, strict=True)))
    assert isclose(bigram_entropy(text), bigram_entropy(renamed), abs_tol=1e-12)


@given(texts)
def test_bigram_entropy_is_the_best_loss_of_a_model_that_sees_one_character(text: str) -> None:
    """Gibbs: the cross-entropy of any other table of conditional probabilities is no lower."""
    pairs = list(pairwise(text))
    assume(len(set(pairs)) > 1)
    letters = sorted(set(text))
    smoothed = {a: dict.fromkeys(letters, 1.0) for a in letters}
    for first, second in pairs:
        smoothed[first][second] += 1
    loss = -sum(log(smoothed[a][b] / sum(smoothed[a].values())) for a, b in pairs) / len(pairs)
    assert bigram_entropy(text) <= loss + 1e-12


@pytest.mark.parametrize("text", ["", "x"])
def test_entropy_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        bigram_entropy(text)


def test_unigram_entropy_of_nothing_is_refused() -> None:
    with pytest.raises(FormatError):
        unigram_entropy("")
