"""The page of a tour: well-formed, self-contained, escaped; the loss curve is drawn to scale."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.lab import page

VOID = {"meta", "line"}


class Tree(HTMLParser):
    """Checks that tags nest, and collects ids, links, classes and text."""

    def __init__(self, document):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.words = [], [], [], [], ""
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if "href" in found:
            self.links.append(found["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def self_contained(document, beside=()):
    """No network, no script; every link leads somewhere on the page, or to a file beside it."""
    tree = Tree(document)
    assert len(set(tree.ids)) == len(tree.ids)
    assert {link for link in tree.links if not link.startswith("#")} <= set(beside)
    assert {link[1:] for link in tree.links if link.startswith("#")} <= set(tree.ids)
    assert not any(tag in ("script", "link", "img", "iframe") for tag, _ in tree.tags)
    assert not any("src" in attrs or "onload" in attrs for _, attrs in tree.tags)
    assert "url(" not in document
    assert "@import" not in document
    return tree


HOSTILE = "<script>alert('x')</script> & \"quotes\" </pre> 日本語"


def test_text_from_outside_is_text():
    parts = [
        page.paragraph(HOSTILE),
        page.facts([(HOSTILE, HOSTILE)]),
        page.table([HOSTILE], [[HOSTILE], [page.Cell.link("there", HOSTILE)]], [0]),
        page.listing(HOSTILE),
        page.folded("there", HOSTILE, page.verdict(False, HOSTILE)),
        page.curve([(1, 2.0)], [(1, 2.0)], 1.5, HOSTILE),
    ]
    document = page.page(HOSTILE, [page.section("s", HOSTILE, *parts)])
    tree = self_contained(document)
    assert tree.words.count(HOSTILE) == 12


def test_a_page_is_light_and_dark():
    document = page.page("t", [])
    assert "prefers-color-scheme: dark" in document
    light, dark = (
        set(re.findall(r"(--\w+):", block))
        for block in re.findall(r":root \{([^}]*)\}", page.STYLE)
    )
    assert light == dark
    assert set(re.findall(r"var\((--\w+)\)", page.STYLE)) <= light


points = st.lists(st.floats(0.1, 20), min_size=1, max_size=50).map(
    lambda ys: [(k + 1, y) for k, y in enumerate(ys)]
)


def polyline(svg, name):
    found = re.search(rf'<polyline class="{name}" points="([^"]*)"', svg).group(1)
    return [tuple(map(float, pair.split(","))) for pair in found.split()]


@given(points, points, st.floats(0.1, 20))
def test_the_curve_is_to_scale(training, held_out, bar):
    svg = page.curve(training, held_out, bar, "bar")
    Tree(svg)
    bar_at = float(re.search(r'<line class="bar"[^>]* y1="([\d.]+)"', svg).group(1))
    drawn = [*polyline(svg, "training"), *polyline(svg, "held")]
    given_ = [*training, *held_out]
    assert all(52 <= x <= 730.1 and 11.9 <= y <= 326.1 for x, y in drawn)
    # One straight map from losses to heights, the bar included; higher is worse.
    pairs = sorted([(loss, y) for (_, loss), (_, y) in zip(given_, drawn, strict=True)])
    pairs = sorted([*pairs, (bar, bar_at)])
    (low, at_low), (high, at_high) = pairs[0], pairs[-1]
    for loss, y in pairs:
        share = (loss - low) / (high - low) if high > low else 0.0
        assert y == pytest.approx(at_low + share * (at_high - at_low), abs=0.2)
    assert at_high <= at_low


def test_an_empty_curve_has_its_bar():
    svg = page.curve([], [], 2.0, "bar")
    Tree(svg)
    assert 'class="bar"' in svg


@given(st.floats(-5, 5), st.floats(0.01, 1000))
def test_ticks_are_round_inside_and_few(low, span):
    found = page.ticks(low, low + span)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-6 <= tick <= low + span + 1e-6 for tick in found)
    gaps = {round(b - a, 8) for a, b in pairwise(found)}
    assert len(gaps) == 1


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_are_kept_apart(places):
    moved = page.apart(places, 15)
    assert all(after >= before for before, after in zip(places, moved, strict=True))
    ordered = sorted(moved)
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))


def test_smoothing_is_a_mean_of_the_last_values():
    points = [(1, 4.0), (2, 2.0), (3, 0.0), (4, 6.0)]
    assert page.smooth(points, 2) == [(1, 4.0), (2, 3.0), (3, 1.0), (4, 3.0)]
    assert page.smooth([], 3) == []
    long = page.smooth([(k, float(k)) for k in range(1, 2001)], 1)
    assert len(long) <= 402
    assert long[-1] == (2000, 2000.0)
