"""Configuration of the documentation."""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import derivations
import kept
import mechanisms
import reference
import rules
import taxonomy

project = "Vesalius"
author = "The Vesalius authors"
copyright = "The Vesalius authors"
release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
    "version"
]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
# Types that other projects document, and the insides of diagrams, which are not for users.
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|fractions|numpy|pathlib|torch)\..*"),
    # Inner types, which a reader meets in signatures only.
    (
        "py:class",
        r"(vesalius\.(diagrams|rewrite|compile)\.[\w.]*)?"
        r"(Node|Box|Kind|Site|Pullback|FunctionPullback|Grade|Machine|Timings|Many|Schema|Move|Strip)",
    ),
]
default_role = "code"  # in docstrings, `x` is code

myst_enable_extensions = ["deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "Vesalius"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False


TABLES = {
    "primitives": reference.page,
    "mechanisms": mechanisms.table,
    "taxonomy": taxonomy.table,
}
MADE_BY_HAND = ("Builder", "ArrayType", "Options")  # other classes have verbs that make them


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", with_pages)
    app.connect("env-get-outdated", from_declarations)
    app.connect("source-read", with_tables)
    app.connect("autodoc-process-docstring", from_markdown)
    app.connect("autodoc-skip-member", hidden)


def from_declarations(
    app: Sphinx, env: object, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages that follow from declarations are written anew each time: those may have changed."""
    return list(TABLES)


def with_pages(app: Sphinx) -> None:
    """Writes the pages of rules, derivations and mechanisms, with pictures, before any is read."""
    for folder in (rules, derivations, mechanisms):
        kept.renew(Path(__file__).parent / folder.__name__, folder.pages())


def with_tables(app: Sphinx, name: str, source: list[str]) -> None:
    """Puts the references of the primitives and of the mechanisms into their pages."""
    if name in TABLES:
        source[0] = source[0].replace("<!-- the table -->", TABLES[name]())


def from_markdown(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Docstrings as reStructuredText: |x| is no substitution, an indented block is literal."""
    found: list[str] = []
    text = ""  # the last line of the text that is not indented
    for line in lines:
        if line.startswith("    ") and found[-1:] == [""] and not text.startswith(("* ", "- ")):
            found += ["::", ""] if text != "::" else []
            text = "::"
        elif line and not line.startswith(" "):
            text = line
            if not line.startswith((">>>", "...")):
                parts = line.split("`")
                parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
                line = "`".join(parts)
        found.append(line)
    lines[:] = found


def hidden(
    app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object
) -> bool | None:
    """Leaves out constructors that are not for users."""
    owner = getattr(thing, "__qualname__", "").partition(".")[0]
    if name == "__new__" or (name == "__init__" and owner not in MADE_BY_HAND):
        return True
    return None
