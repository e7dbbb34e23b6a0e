"""Array types: an element type and an unordered set of named axes with sizes."""

import itertools
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.diagrams.errors import AxisError, FormatError, SizeError
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import DTYPES, ArrayType, axis_names

names = st.sampled_from(["n", "m", "c", "h", "axis_1", "ß", "名", "lambda", "x2"])


def length_of(name: str, k: int, how: str) -> Size:
    n = size(name)
    return {
        "plain": n,
        "integer": size(k),
        "times": n * k,
        "floor": n // k,
        "ceil": (n + 1).ceil_div(k),
        "even": n / k,
    }[how]


shapes = st.sampled_from(["plain", "integer", "times", "floor", "ceil", "even"])
lengths = st.builds(length_of, names, st.integers(1, 5), shapes)
types = st.builds(
    ArrayType, st.dictionaries(names, lengths, max_size=4), st.sampled_from(sorted(DTYPES))
)


@given(types)
def test_a_type_is_read_back_from_its_text(type_: ArrayType) -> None:
    for text in (str(type_), f"{' '.join(type_.words())} {type_.dtype}"):
        again = ArrayType.parse(text)
        assert again == type_
        assert list(again) == list(type_)
        assert again.dtype == type_.dtype
    assert eval(repr(type_), {"ArrayType": ArrayType.parse}) == type_
    assert ArrayType.parse(type_) is type_


@given(types, st.randoms(use_true_random=False))
def test_the_order_of_axes_is_no_part_of_a_type(type_: ArrayType, random) -> None:
    items = list(type_.axes.items())
    random.shuffle(items)
    other = ArrayType(dict(items), type_.dtype)
    assert other == type_
    assert hash(other) == hash(type_)
    assert list(other) == [name for name, _ in items]


@given(types, types)
def test_types_are_equal_when_all_their_parts_are(a: ArrayType, b: ArrayType) -> None:
    parts = [({(n, str(s)) for n, s in t.axes.items()}, t.dtype) for t in (a, b)]
    assert (a == b) == (parts[0] == parts[1])


def test_names_sizes_and_element_types_count() -> None:
    kinds = ["n c", "n m", "n", "", "n c:2*c", "n:c c:n", "n c int", "n c bool"]
    for one, other in itertools.combinations(map(ArrayType.parse, kinds), 2):
        assert one != other
    assert ArrayType.parse("n") != "n"


@pytest.mark.parametrize(
    ("text", "axes", "dtype"),
    [
        ("", {}, "float"),
        ("  ", {}, "float"),
        ("int", {}, "int"),
        ("n c", {"n": "n", "c": "c"}, "float"),
        ("n, c bool", {"n": "n", "c": "c"}, "bool"),
        ("{b, n, c} float", {"b": "b", "n": "n", "c": "c"}, "float"),
        ("{} int", {}, "int"),
        ("{n}", {"n": "n"}, "float"),
        ("{n}int", {"n": "n"}, "int"),
        ("c:2*d", {"c": "2*d"}, "float"),
        ("i:n//2 j:ceil(n/2) k:3", {"i": "n//2", "j": "ceil(n/2)", "k": 3}, "float"),
        ("n:0", {"n": 0}, "float"),
        ("n:(m+1)*(m-1)", {"n": "m**2-1"}, "float"),
    ],
)
def test_texts(text: str, axes: dict[str, str], dtype: str) -> None:
    type_ = ArrayType.parse(text)
    assert type_.axes == {name: size(length) for name, length in axes.items()}
    assert type_.dtype == dtype
    assert len(type_) == len(axes)
    assert all(name in type_ for name in axes)
    assert "unknown" not in type_


def test_words_show_the_size_where_it_differs_from_the_name() -> None:
    type_ = ArrayType({"n": "n", "m": "n", "c": "2 * d + 1"}, "int")
    assert type_.words() == ["n", "m:n", "c:2*d+1"]
    assert str(type_) == "{n, m:n, c:2*d+1} int"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("n n", AxisError, "'n' stands twice"),
        ("n:c n", AxisError, "'n' stands twice"),
        ("2n", FormatError, "'2n'"),
        ("n:", FormatError, "not a size"),
        ("n:2d", FormatError, "not a size"),
        ("n : c", FormatError, "':'"),
        ("n c:2 * d", FormatError, "not an axis"),
        (":n", FormatError, "':n'"),
        ("float n", FormatError, "'float'"),
        ("float:3", FormatError, "'float:3'"),
        ("{n c", FormatError, "braces"),
        ("n} c {", FormatError, "braces"),
        ("{n} {c}", FormatError, "braces"),
        ("{n} c d", FormatError, "braces"),
        ("n:-3", SizeError, "negative"),
        ("n:2-5", SizeError, "negative"),
        ("n-m", FormatError, "'n-m'"),
        ("n:__import__('os')", FormatError, "not a size"),
        (3, FormatError, "not 3"),
        (None, FormatError, "not None"),
        (["n"], FormatError, "is a text"),
    ],
)
def test_what_is_no_type_is_refused(text, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ArrayType.parse(text)


def test_parts_are_checked() -> None:
    for name in ("", "2n", "a b", "float", "int", "bool", 3):
        with pytest.raises(AxisError, match="an axis name is an identifier"):
            ArrayType({name: "n"})
    with pytest.raises(FormatError, match="one of float, int, bool, not 'complex'"):
        ArrayType({}, "complex")
    with pytest.raises(SizeError, match="'n' has the size -1"):
        ArrayType({"n": -1})
    assert all(isinstance(length, Size) for length in ArrayType({"n": 3, "m": "n"}).axes.values())


def test_keywords_are_names() -> None:
    for word in keyword.kwlist:
        assert ArrayType.parse(f"{word}:2*{word}").axes == {word: size(word) * 2}


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("", ()),
        ("n", ("n",)),
        ("n c", ("n", "c")),
        ("n, c", ("n", "c")),
        (["n", "c"], ("n", "c")),
        ((), ()),
    ],
)
def test_names_of_axes(axes, expected: tuple[str, ...]) -> None:
    assert axis_names(axes) == expected


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("n n", "'n' is named twice"),
        (["n", "c", "n"], "'n' is named twice"),
        ("2", "not '2'"),
        ("n:3", "not 'n:3'"),
        ([3], "not 3"),
        (3, "not by 3"),
        (None, "not by None"),
    ],
)
def test_wrong_names_of_axes(axes, message: str) -> None:
    with pytest.raises(AxisError, match=message):
        axis_names(axes)


@given(st.lists(st.integers(1, 12), unique=True), st.sampled_from(["w", "w_3", "w_x", "_1"]))
def test_a_fresh_name_is_free(numbers: list[int], name: str) -> None:
    taken = {name, *(f"w_{k}" for k in numbers), *(f"w_x_{k}" for k in numbers)}
    found = fresh_name(name, taken)
    assert found not in taken
    stem, _, number = found.rpartition("_")
    assert int(number) == 1 or f"{stem}_{int(number) - 1}" in taken


def test_fresh_names_are_numbered_in_order() -> None:
    taken: dict[str, None] = {}
    for _ in range(1000):
        taken[fresh_name("w", taken)] = None
    assert list(taken) == ["w", *(f"w_{k}" for k in range(1, 1000))]
