"""Python text as it is put together: terms with precedence, statements, and the names they get.

A lowering writes terms. A term that is kept becomes a statement with a *variable*, which stands
in other terms as a hole. Only at the end, when all uses are known, `Block.render` decides which
statements are short enough to stand inside their one use, and which names are free again: so the
text reuses `x` as a person would, and an array is let go where a person would let it go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

# How tightly the outermost operation of a term binds; operands state what they need.
ANY, COMPARE, BITOR, BITAND, SUM, PRODUCT, SIGN, POWER, ATOM = range(9)

WIDTH = 92  # of a line, inside a method
INLINE_WIDTH = 72  # a term is put into its one use when the result is not longer than this
SHORT = 44  # or than this, where two heavy operations would meet
INLINE_OPERATIONS = 3  # and has not more operations than this

_ADDED_OPPOSITE = re.compile(r" \+ -(?=[\w(])")  # `a + -b` is `a - b`, to the bit
_HOLE = re.compile("\x01(\\d+)(?:\\|(\\d))?\x02")
_PLAIN = re.compile("\x01\\d+\x02|[\\w.]+")
_KEPT = re.compile("\x03([^\x04]*)\x04")
_REDUCTION = re.compile(r"\.(mean|sum|amax|amin|all|any)\(-1\)$")


class Term(NamedTuple):
    """A piece of Python: its text, how tightly it binds, and how many operations it holds.

    `heavy` marks the operations that a reader looks for (a contraction, a softmax, a call).
    """

    text: str
    level: int = ATOM
    operations: int = 0
    heavy: bool = False

    def at(self, level: int) -> str:
        """The text as an operand of something that binds as tightly as `level`."""
        if self.text[:1] == "\x01" and _HOLE.fullmatch(self.text):
            return f"\x01{self.text[1:-1]}|{level}\x02"
        return f"({self.text})" if self.level < level else self.text

    @property
    def plain(self) -> bool:
        """Whether this is a name or an attribute, which costs nothing to repeat."""
        return _PLAIN.fullmatch(self.text) is not None


def apply(function: str, *arguments: Term | str, heavy: bool = False, cost: int = 1) -> Term:
    """`function(a, b, …)`; arguments that are texts stand as they are."""
    terms = [a for a in arguments if isinstance(a, Term)]
    inside = ", ".join(a.at(ANY) if isinstance(a, Term) else a for a in arguments)
    return Term(
        f"{function}({inside})",
        ATOM,
        cost + sum(t.operations for t in terms),
        heavy or any(t.heavy for t in terms),
    )


def method(term: Term, call: str, *, heavy: bool = False, cost: int = 1) -> Term:
    """`term.call`, such as `x.sum(-1)`; a view costs 0."""
    return Term(f"{term.at(ATOM)}.{call}", ATOM, term.operations + cost, heavy or term.heavy)


def index(term: Term, items: str) -> Term:
    """`term[items]`."""
    return Term(f"{term.at(ATOM)}[{items}]", ATOM, term.operations, term.heavy)


def kept_dimension(term: Term, items: str) -> Term:
    """`term[..., None]`; written `x.mean(-1, keepdim=True)` if the term ends up as `x.mean(-1)`."""
    return Term(f"{term.at(ATOM)}\x03[{items}]\x04", ATOM, term.operations, term.heavy)


def chain(operator: str, level: int, terms: Sequence[Term], *, heavy: bool = False) -> Term:
    """`a + b + …` for an operator that is written from left to right."""
    first, *rest = terms
    text = first.at(level) + "".join(f" {operator} {t.at(level + 1)}" for t in rest)
    operations = sum(t.operations for t in terms) + len(rest)
    return Term(text, level, operations, heavy or any(t.heavy for t in terms))


class Statement:
    """Lines that define variables. `lines` may hold holes for variables, also on the left."""

    __slots__ = ("comment", "heavy", "kept", "level", "lines", "operations", "plain", "targets")

    def __init__(
        self, targets: tuple[int, ...], lines: list[str], term: Term | None, comment: str
    ) -> None:
        self.targets = targets
        self.lines = lines
        self.plain = term is not None  # one term, as opposed to a loop
        self.level = term.level if term is not None else ANY
        self.operations = term.operations if term is not None else 0
        self.heavy = term is not None and term.heavy
        self.kept = term is None
        self.comment = comment


class Block:
    """The statements of one function, in order."""

    def __init__(self) -> None:
        self.bases: list[str] = []  # the name that each variable would like to have
        self.fixed: dict[int, str] = {}  # arguments: variables whose names are given
        self.statements: list[Statement] = []

    def argument(self, name: str) -> Term:
        """A variable whose name is part of the interface."""
        variable = self._variable(name)
        self.fixed[variable] = name
        return _hole(variable)

    def let(self, term: Term, base: str, comment: str = "", *, kept: bool = False) -> Term:
        """`base = term`; a `kept` statement is never put into its use."""
        if term.plain:
            return term
        variable = self._variable(base)
        statement = Statement((variable,), [term.text], term, comment)
        statement.kept = kept
        self.statements.append(statement)
        return _hole(variable)

    def forget(self, term: Term) -> None:
        """Take back the statement that defines a variable, which no other statement reads."""
        variable = _number(term)
        place = next(k for k in range(len(self.statements) - 1, -1, -1)
                     if variable in self.statements[k].targets)  # fmt: skip
        del self.statements[place]

    def let_all(self, term: Term, bases: Sequence[str], comment: str = "") -> list[Term]:
        """`a, b = term`."""
        variables = tuple(self._variable(base) for base in bases)
        self.statements.append(Statement(variables, [term.text], term, comment))
        self.statements[-1].kept = True
        return [_hole(v) for v in variables]

    def assign(self, variable: Term, term: Term) -> None:
        """`variable = term` for a variable of a loop that comes."""
        self.statements.append(Statement((_number(variable),), [term.text], term, ""))

    def loop(self, bases: Sequence[str]) -> list[Term]:
        """Fresh variables for `add_loop`."""
        return [_hole(self._variable(base)) for base in bases]

    def add_loop(self, targets: Sequence[Term], lines: list[str]) -> None:
        """Lines that define the targets, in which variables may be rebound."""
        ids = tuple(_number(t) for t in targets)
        self.statements.append(Statement(ids, lines, None, ""))

    def _variable(self, base: str) -> int:
        self.bases.append(base)
        return len(self.bases) - 1

    # -- rendering ------------------------------------------------------------------------------

    def render(self, results: Sequence[Term], reserved: Iterable[str]) -> list[str]:
        """The lines, ending in `return`; `reserved` names are not given to variables."""
        several = len(results) > 1
        ends = Statement((), [", ".join(r.at(ANY) for r in results)], Term(""), "")
        statements = _inlined(_needed([*self.statements, ends]), self.bases, several)
        last: dict[int, int] = {}
        for place, statement in enumerate(statements):
            for variable in _holes(statement.lines):
                last[variable] = place
        names = dict(self.fixed)
        taken = set(reserved)
        # How many live variables hold a name: a loop's carried variables are defined once.
        live = {name: variable for variable, name in self.fixed.items()}
        lines: list[str] = []
        for place, statement in enumerate(statements):
            used = set(_holes(statement.lines))
            if statement.plain:  # names of what dies here can be taken over at once
                _free(live, last, place)
            for target in sorted(v for v in used | set(statement.targets) if v not in names):
                if statement.plain and target not in last:
                    names[target] = "_"
                    continue
                names[target] = _choose(self.bases[target], live, taken)
                live[names[target]] = target
            lines += _written(statement, names, last_one=statement is ends)
            _free(live, last, place)
        return lines


def _free(live: dict[str, int], last: dict[int, int], place: int) -> None:
    for name in [name for name, v in live.items() if last.get(v, -1) <= place]:
        del live[name]


def _choose(base: str, live: dict[str, int], taken: set[str]) -> str:
    name, count = base, 1
    while name in live or name in taken:
        count += 1
        name = f"{base}{count}" if not base[-1:].isdigit() else f"{base}_{count}"
    return name


def _hole(variable: int) -> Term:
    return Term(f"\x01{variable}\x02")


def _number(term: Term) -> int:
    return int(term.text[1:-1])


def _holes(lines: Iterable[str]) -> Iterator[int]:
    for line in lines:
        for found in _HOLE.finditer(line):
            yield int(found[1])


def _filled(line: str, names: dict[int, str]) -> str:
    return _KEPT.sub(r"\1", _HOLE.sub(lambda found: names[int(found[1])], line))


def _written(statement: Statement, names: dict[int, str], last_one: bool) -> list[str]:
    comment = f"  # {statement.comment}" if statement.comment else ""
    if not statement.plain:
        return [_filled(line, names) for line in statement.lines]
    text = _ADDED_OPPOSITE.sub(" - ", _filled(statement.lines[0], names))
    left = ", ".join(names[t] for t in statement.targets)
    if left == text:
        return []  # a carried variable that is called as what it starts from
    head = "return " if last_one else f"{left} = "
    lines = wrapped(head + text)
    if len(lines[-1]) + len(comment) > WIDTH and comment:
        return [comment.strip(), *lines]
    return [*lines[:-1], lines[-1] + comment]


def _needed(statements: list[Statement]) -> list[Statement]:
    """The statements without those that define what nothing reads."""
    used: set[int] = set()
    kept: list[Statement] = []
    for statement in reversed(statements):
        if not statement.plain or not statement.targets or used & set(statement.targets):
            used.update(_holes(statement.lines))
            kept.append(statement)
    return kept[::-1]


# -- putting statements into their use ----------------------------------------------------------


def _inlined(statements: list[Statement], bases: list[str], several: bool) -> list[Statement]:
    """The statements that remain when short ones stand inside their only use."""
    count: dict[int, int] = {}
    user: dict[int, int] = {}
    for place, statement in enumerate(statements):
        for variable in _holes(statement.lines):
            count[variable] = count.get(variable, 0) + 1
            user[variable] = place
    names = dict(enumerate(bases))
    end = len(statements) - 1
    gone: set[int] = set()
    for place, inner in enumerate(statements[:-1]):
        if not inner.plain or len(inner.targets) != 1 or count.get(inner.targets[0]) != 1:
            continue
        variable = inner.targets[0]
        outer = statements[user[variable]]
        returned = user[variable] == end
        if (several and returned) or not _fits(inner, outer, variable, names, returned):
            continue
        outer.lines[0] = _put(outer.lines[0], variable, inner)
        outer.operations += inner.operations
        outer.heavy |= inner.heavy
        if returned:
            outer.comment = inner.comment
        for used in _holes(inner.lines):
            user[used] = user[variable]
        gone.add(place)
    return [s for place, s in enumerate(statements) if place not in gone]


def _fits(
    inner: Statement, outer: Statement, variable: int, names: dict[int, str], returned: bool
) -> bool:
    if returned:
        return True
    if inner.kept or not outer.plain or (inner.heavy and outer.kept):
        return False
    if inner.operations + outer.operations > INLINE_OPERATIONS:
        return False
    width = SHORT if inner.heavy and outer.heavy else INLINE_WIDTH
    length = len(_filled(outer.lines[0], names)) + len(_filled(inner.lines[0], names))
    return length + len(names[variable]) <= width


def _put(line: str, variable: int, inner: Statement) -> str:
    text = inner.lines[0]

    def replace(found: re.Match[str]) -> str:
        if int(found[1]) != variable:
            return found[0]
        needed = int(found[2]) if found[2] else ANY
        return f"({text})" if inner.level < needed else text

    if inner.level == ATOM and _REDUCTION.search(text):
        kept = re.compile(f"\x01{variable}\\|{ATOM}\x02\x03[^\x04]*\x04")
        line = kept.sub(lambda _: f"{text[:-1]}, keepdim=True)", line)
    return _HOLE.sub(replace, line)


# -- long lines ---------------------------------------------------------------------------------


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """The characters of a text with their depth of brackets; a quoted text is one deep."""
    depth, quote = 0, ""
    for character in text:
        if quote:
            yield character, depth + (character != quote)
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
            yield character, depth
        elif character in "([{":
            yield character, depth
            depth += 1
        elif character in ")]}":
            depth -= 1
            yield character, depth
        else:
            yield character, depth


def wrapped(line: str, width: int = WIDTH) -> list[str]:
    """The line, or several: broken at the commas of its longest brackets, or at operators."""
    if len(line) <= width:
        return [line]
    start, stop = _longest_brackets(line)
    head = re.match(r"return |[\w, ]+ = ", line)
    if head is not None and stop - start < len(line) // 2:
        pieces = _split(line[head.end() :], _at_operators)
        if len(pieces) > 1:
            rows = [f"    {row}" for row in _rows(pieces, width - 4)]
            return [f"{head[0]}(", *rows, ")"]
    if stop <= start + 1:
        return [line]
    items = _split(line[start + 1 : stop], _at_commas)
    if len(items) == 1:
        items = _split(line[start + 1 : stop], _at_operators)
    rows = [f"    {part}" for row in _rows(items, width - 4) for part in wrapped(row, width - 4)]
    return [line[: start + 1], *rows, line[stop:]]


def _longest_brackets(line: str) -> tuple[int, int]:
    start, best = -1, (0, 0)
    for place, (character, depth) in enumerate(_pieces(line)):
        if depth == 0 and character in "([{":
            start = place
        elif depth == 0 and character in ")]}" and place - start > best[1] - best[0]:
            best = (start, place)
    return best


def _at_commas(before: str, rest: str) -> bool:
    return before.endswith(", ")


def _at_operators(before: str, rest: str) -> bool:
    return before.endswith(" ") and re.match(r"[-+*/@&|]+ |if |else ", rest) is not None


def _split(text: str, cut: Callable[[str, str], bool]) -> list[str]:
    """The text cut where it is outside of brackets and `cut` says so."""
    places = [
        place
        for place, (_, depth) in enumerate(_pieces(text))
        if place and depth == 0 and cut(text[:place], text[place:])
    ]
    ends = [*places, len(text)]
    return [text[a:b].rstrip() for a, b in zip([0, *places], ends, strict=True)]


def _rows(pieces: Sequence[str], width: int) -> list[str]:
    """The pieces put into rows, as many in each as fit."""
    rows = [pieces[0]]
    for piece in pieces[1:]:
        if len(rows[-1]) + 1 + len(piece) > width:
            rows.append(piece)
        else:
            rows[-1] += f" {piece}"
    return rows
