"""The page and the width table in a real browser: Chromium, driven by Playwright.

Needs Debian's `chromium` and `fonts-liberation`, and the package `playwright`. Where they are
missing these tests are skipped, except where `CI` is set: there they must run.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drawing_samples import OWN, SHIPPED, attention, block, causal, encoder

import vesalius as vs
from vesalius.diagrams.drawing.strips import Change, strip
from vesalius.diagrams.drawing.text import label_width

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


def missing() -> str:
    """Why there is no browser here, or the empty string."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the package playwright is not installed"
    return "" if CHROMIUM else "no chromium on the path"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing()) and not os.environ.get("CI"),
        reason=f"NO BROWSER: {missing()}; nothing of the interactive page is tested here",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    assert not missing(), missing()
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def show(browser, tmp_path: Path) -> Iterator[Callable]:
    """Opens a page; at the end nothing may have been complained about, or asked of a network."""
    complaints: list[str] = []
    contexts = []

    def opened(text: str, *, width: int = 1200, height: int = 700, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=width < 600,
        )
        contexts.append(context)
        view = context.new_page()
        view.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        view.on("pageerror", lambda error: complaints.append(str(error)))
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        view.on(
            "request",
            lambda request: (
                None if request.url.startswith("file:") else complaints.append(request.url)
            ),
        )
        view.goto(file.as_uri())
        return view

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def key(diagram: vs.Diagram, label: str) -> str:
    """The key that the page gives the first glyph with this label."""
    for shape in diagram.draw().scene.shapes:
        if any("".join(run.text for run in text.label) == label for text in shape.texts):
            return f"0/{shape.key}"
    raise AssertionError(f"{diagram.name} shows no {label!r}")


ATTENTION_BOX = key(block, "causal")
NORM_BOX = key(block, "norm")


def rect(view, selector: str) -> dict:
    return view.locator(selector).first.bounding_box()


def test_the_width_table_is_right_to_three_percent(show) -> None:
    """What a browser measures, against what the layout believed, for all that ships."""
    whole = "".join(diagram.svg(labels="all", legend=True) for diagram in [*OWN, *SHIPPED])
    view = show(f"<!DOCTYPE html>{whole}")
    measured = view.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => [t.textContent, "
        "parseFloat(getComputedStyle(t).fontSize), t.getComputedTextLength(), t.getBBox().width])"
    )
    believed = {}  # a text can stand in several faces
    for diagram in [*OWN, *SHIPPED]:
        for text in diagram.draw(labels="all", legend=True).scene.texts():
            words = "".join(run.text for run in text.label)
            believed.setdefault((words, text.size), []).append(label_width(text.label, text.size))
    assert len(measured) >= len(believed) > 50
    for text, size, advance, box in measured:
        width = min(believed[text, size], key=lambda width: abs(width - advance))
        assert advance == pytest.approx(width, rel=0.03), text
        # Chromium's box is whole pixels, with what leans out of an italic at either end.
        assert width * 0.97 <= box <= width * 1.03 + 3, text


@pytest.mark.parametrize("options", [{}, {"depth": 2, "direction": "down"}], ids=str)
@pytest.mark.parametrize("diagram", [*OWN, *SHIPPED], ids=lambda d: d.name)
def test_no_text_covers_text_or_a_box_in_a_browser(show, diagram: vs.Diagram, options) -> None:
    view = show(f"<!DOCTYPE html>{diagram.svg(**options)}")
    found = view.evaluate(
        """() => {
          // The box of a line of text is higher than its letters: a quarter of it is free.
          const letters = t => {
            const r = t.getBoundingClientRect();
            return [r.left, r.top + r.height * .2, r.right, r.top + r.height * .85];
          };
          const over = (p, q) => Math.min(p[2], q[2]) - Math.max(p[0], q[0]) > 1
            && Math.min(p[3], q[3]) - Math.max(p[1], q[1]) > 1;
          const texts = [...document.querySelectorAll('svg text')].map(t => [t, letters(t)]);
          const boxes = [...document.querySelectorAll('svg g > rect, svg g > polygon')]
            .filter(r => !r.parentNode.classList.contains('frame'))
            .map(r => [r, r.getBoundingClientRect()])
            .map(([r, b]) => [r, [b.left, b.top, b.right, b.bottom]]);
          const bad = [];
          for (const [i, [a, p]] of texts.entries()) {
            for (const [b, q] of texts.slice(i + 1))
              if (over(p, q)) bad.push([a.textContent, b.textContent]);
            for (const [r, q] of boxes)
              if (r.parentNode !== a.parentNode && over(p, q))
                bad.push([a.textContent, r.parentNode.id]);
          }
          return [bad, texts.length, boxes.length];
        }"""
    )
    assert found[0] == []
    assert min(found[1:]) > 0


def test_the_page_draws_what_the_svg_draws(show) -> None:
    """With scripts and without: the same shapes at the same places."""
    view = show(causal.html())
    paths = view.evaluate(
        "[...document.querySelectorAll('.wire > path:not(.reach):not(.sleeve)')]"
        ".map(p => p.getAttribute('d'))"
    )
    wires = causal.draw().scene.wires
    assert len(paths) == len(wires)
    for drawn, wire in zip(paths, wires, strict=True):
        numbers = [x for _, piece in wire.path for x in piece]
        start = f"M{numbers[0]:g} {numbers[1]:g}"
        assert drawn.startswith(start), (drawn, wire.key)
    rects = view.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-key] > rect')].map(r => "
        "[r.parentNode.dataset.key, ['x', 'y', 'width', 'height'].map(a => +r.getAttribute(a))]))"
    )
    for shape in causal.draw().scene.shapes:
        if f"0/{shape.key}" in rects:
            left, top, right, bottom = shape.box
            expected = [left, top, right - left, bottom - top]
            assert rects[f"0/{shape.key}"] == pytest.approx(expected, abs=0.11)


def test_a_click_opens_a_box_in_place_and_closes_it(show) -> None:
    view = show(block.html())
    box = view.locator(f'[data-key="{ATTENTION_BOX}"]')
    assert box.get_attribute("aria-expanded") == "false"
    before = view.locator("[data-key]").count()
    box.click()
    opened = view.locator(f'[data-key="{ATTENTION_BOX}"]')
    assert opened.get_attribute("aria-expanded") == "true"
    assert view.locator("[data-key]").count() > before + 8
    # Everything else has made room: no box of the outer picture overlaps the frame.
    frame = rect(view, f'[data-key="{ATTENTION_BOX}"] > rect')
    outer = [s for s in block.draw().scene.shapes if s.look not in ("input", "output")]
    assert len(outer) > 5
    for shape in outer:
        if f"0/{shape.key}" == ATTENTION_BOX:
            continue
        other = rect(view, f'[data-key="0/{shape.key}"] > rect')
        beside = other["x"] + other["width"] <= frame["x"] + 1
        beside |= frame["x"] + frame["width"] <= other["x"] + 1
        below = other["y"] >= frame["y"] + frame["height"] - 1
        assert beside or below, shape.key
    view.locator(f'[data-key="{ATTENTION_BOX}"] > text').click()
    assert view.locator("[data-key]").count() == before


def test_strings_stay_attached_when_boxes_open(show) -> None:
    """Every string still ends on its boxes: no loose ends after opening all."""
    view = show(block.html(depth=9))
    loose = view.evaluate(
        """() => {
          const rects = [...document.querySelectorAll('[data-key] > rect')]
            .map(r => r.getBoundingClientRect());
          const bad = [];
          for (const path of document.querySelectorAll('.wire > path.reach')) {
            const m = path.getScreenCTM(), p = path.getPointAtLength(0).matrixTransform(m);
            const near = rects.some(r => p.x > r.left - 4 && p.x < r.right + 4
              && p.y > r.top - 4 && p.y < r.bottom + 4);
            if (!near) bad.push(path.parentNode.id);
          }
          return bad;
        }"""
    )
    # Those that start at an input of the whole picture start at no box.
    assert [key for key in loose if not key.endswith("wire-0")] == []


def test_keyboard_opens_zooms_and_pans(show) -> None:
    view = show(block.html())
    viewbox = "document.querySelector('#stage svg').getAttribute('viewBox').split(' ').map(Number)"
    whole = view.evaluate(viewbox)
    view.keyboard.press("+")
    near = view.evaluate(viewbox)
    assert near[2] < whole[2]
    view.keyboard.press("ArrowRight")
    assert view.evaluate(viewbox)[0] > near[0]
    view.keyboard.press("0")
    assert view.evaluate(viewbox) == pytest.approx(whole, abs=0.2)
    view.locator(f'[data-key="{NORM_BOX}"]').focus()
    view.keyboard.press("Enter")
    assert view.locator(f'[data-key="{NORM_BOX}"]').get_attribute("aria-expanded") == "true"
    assert view.evaluate("document.activeElement.dataset.key") == NORM_BOX
    view.keyboard.press("o")
    assert view.locator(f'[data-key="{NORM_BOX}"]').get_attribute("aria-expanded") == "false"
    view.keyboard.press("Tab")


def test_hovering_an_axis_lights_its_strings_everywhere(show) -> None:
    view = show(block.html(depth=1))
    view.locator('#axes [data-axis="h"]').hover()
    lit = view.locator(".wire.lit")
    assert lit.count() >= 5
    axes = lit.evaluate_all("all => all.map(g => JSON.parse(g.dataset.axes))")
    assert all("h" in row for row in axes)
    dark = view.locator(".wire:not(.lit)").evaluate_all(
        "all => all.map(g => JSON.parse(g.dataset.axes))"
    )
    assert not any("h" in row for row in dark)
    view.locator("h1").hover()
    assert view.locator(".wire.lit").count() == 0


def test_hovering_a_box_tells_type_formula_and_cost(show) -> None:
    view = show(attention.html())
    view.locator('[data-key="0/box-3"]').hover()
    told = view.locator("#tip").text_content()
    assert "contract over c" in told
    assert "{n, c} float, {m, c} float → {n, m} float" in told
    assert "y = Σ_c x₁·x₂" in told
    assert "2·c·m·n FLOPs" in told


def test_the_heat_map_follows_the_sizes(show) -> None:
    view = show(attention.html())
    view.keyboard.press("h")
    view.locator('#sizes [name="n"]').fill("10")
    view.locator('#sizes [name="m"]').fill("20")
    view.locator('#sizes [name="c"]').fill("30")
    assert view.locator('[data-key="0/box-3"]').get_attribute("data-cost") == "1.20e+4"
    dear, cheap = (
        view.locator(f'[data-key="0/{key}"] > rect').evaluate("r => getComputedStyle(r).fill")
        for key in ("box-3", "box-7")
    )
    assert dear != cheap
    view.locator("#heat").click()
    assert view.locator(".hot").count() == 0


def test_dark_mode_follows_the_reader_and_the_button(show) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = show(attention.html()), show(attention.html(), dark=True)
    assert light.evaluate(paper) == "rgb(255, 255, 255)"
    assert dark.evaluate(paper) == "rgb(20, 24, 29)"
    light.keyboard.press("d")
    assert light.evaluate(paper) == "rgb(20, 24, 29)"
    light.locator("#dark").click()
    assert light.evaluate(paper) == "rgb(255, 255, 255)"


def test_it_can_be_read_on_a_phone(show) -> None:
    view = show(encoder.html(), width=390, height=780)
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    high = view.locator("#stage text").first.bounding_box()["height"]
    assert high >= 8
    view.locator(".opens").first.tap()
    assert view.locator(".frame").count() == 1


def test_a_drag_pans_and_opens_nothing(show) -> None:
    view = show(block.html())
    box = rect(view, f'[data-key="{ATTENTION_BOX}"] > rect')
    view.mouse.move(box["x"] + 10, box["y"] + 10)
    view.mouse.down()
    view.mouse.move(box["x"] + 110, box["y"] + 10, steps=4)
    view.mouse.up()
    assert view.locator(".frame").count() == 0
    moved = rect(view, f'[data-key="{ATTENTION_BOX}"] > rect')
    assert moved["x"] == pytest.approx(box["x"] + 100, abs=2)


def test_a_film_steps_says_why_and_marks_what_changes(show) -> None:
    step = Change(sign="⊒", rule="mask", grade="variant", law="m ≤ n <b>", source="rules.py:7")
    film = strip([attention, causal, block], ["plain", "causal"], [step, Change(rule="wrap")])
    view = show(film.html())
    count, caption = view.locator("#count"), view.locator("#caption")
    assert (count.text_content(), caption.text_content()) == ("1/3", "plain")
    assert view.locator("#came").text_content() == ""
    assert view.locator("#goes").inner_text().split("\n") == [
        "goes by ⊒ mask", "m ≤ n <b>", "variant · rules.py:7"
    ]  # fmt: skip
    for k, keys in enumerate((None, "ArrowRight", "ArrowRight")):
        if keys:
            view.keyboard.press(keys)
        for marks, wanted in (("goes", film.frames[k].goes), ("comes", film.frames[k].comes)):
            found = view.evaluate(
                f"[...document.querySelectorAll('#stage .{marks}')].map(g => g.id.slice(4))"
            )
            assert sorted(found) == sorted(wanted), (k, marks)
            assert (k, marks) in ((0, "comes"), (2, "goes")) or found
    assert view.locator("#came").text_content() == "came by = wrap"
    view.keyboard.press("ArrowRight")
    assert count.text_content() == "3/3"
    view.keyboard.press("Home")
    assert count.text_content() == "1/3"
    view.keyboard.press("End")
    view.locator("#back").click()
    assert (count.text_content(), caption.text_content()) == ("2/3", "causal")
    view.locator("#goes").click()
    assert count.text_content() == "3/3"


def test_a_page_of_one_picture_is_no_film(show) -> None:
    view = show(attention.html())
    for part in ("#film", "#back", "#next"):
        assert not view.locator(part).is_visible()
    before = view.locator("#stage svg").get_attribute("viewBox")
    view.keyboard.press("ArrowLeft")
    assert view.locator("#stage svg").get_attribute("viewBox") != before


@pytest.mark.parametrize(
    "name", ["</script><script>window.bad=1</script>", "<img src=x onerror=bad()>", "注意 & \"'"]
)
def test_hostile_names_do_nothing(show, name: str) -> None:
    with vs.Builder(name) as builder:
        x = builder.input(name, "n c")
        host = builder.diagram(
            **{name: attention.boxed(x, x.rename(n="m"), x.rename(n="m", c="e"))}
        )
    view = show(host.html(depth=1))
    assert view.evaluate("window.bad") is None
    assert view.locator("#stage svg").count() == 1
    assert view.locator("img").count() == 0
