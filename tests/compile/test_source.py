"""The text of a module: what a person would have written, and safe whatever the names are."""

import ast
from textwrap import dedent

import pytest
import torch

import vesalius as vs
from vesalius.compile import names
from vesalius.compile.kernels import SHIPPED
from vesalius.compile.text import WIDTH
from vesalius.diagrams.graph import Port

torch.set_num_threads(1)


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    """Scaled dot-product attention."""
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


def text_of(diagram, forbid=(), **sizes):
    """The text from its first class or function on."""
    source = vs.to_torch(diagram, sizes=sizes, forbid=forbid).source
    return source.partition("from torch import nn\n")[2].strip()


def written(text):
    return dedent(text).strip()


def test_attention() -> None:
    assert (
        vs.to_torch(attention.over("b h"), forbid=SHIPPED).source
        == written(
            '''
        """attention(q: {b, h, n, c} float, k: {b, h, m, c} float, v: {b, h, m, e} float) -> {b, h,
        n, e} float"""

        import torch
        from torch import nn


        class Attention(nn.Module):
            """Scaled dot-product attention."""

            def forward(self, q, k, v):
                c = q.shape[-1]
                scores = q @ k.mT / c**0.5  # b h n m
                weights = torch.softmax(scores, dim=-1)  # b h n m
                return weights @ v  # b h n e
        '''
        )
        + "\n"
    )


@vs.diagram
def norm(x: "d") -> "d":
    centred = x - vs.mean(x, "d")
    variance = vs.mean(centred * centred, "d")
    scaled = centred / vs.sqrt(variance + 1e-5) * vs.parameter("gain", "d", init="ones")
    return scaled + vs.parameter("shift", "d", init="zeros")


@vs.diagram
def heads(x: "n d") -> "n d":
    q = vs.linear(x, "d", "h c", name="wq")
    k = vs.linear(x, "d", "h c", name="wk").rename(n="m")
    v = vs.linear(x, "d", "h e", name="wv").rename(n="m")
    mask = vs.iota("m:n") <= vs.iota("n")
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    weights = vs.softmax(vs.where(mask, scores, float("-inf")), "m")
    return vs.linear(vs.contract(weights, v, over="m"), "h e", "d", name="wo")


@vs.diagram
def mlp(x: "d") -> "d":
    return vs.linear(vs.gelu(vs.linear(x, "d", "f", name="up", bias=True)), "f", "d", name="down")


@vs.diagram
def block(x: "n d") -> "n d":
    x = x + heads.boxed(norm.boxed(x))
    return x + mlp.boxed(norm.boxed(x))


@vs.diagram
def decoder(x: "n d") -> "n d":
    return block.boxed(block.boxed(x))


def test_a_transformer() -> None:
    assert text_of(decoder.over("b"), d=8, h=2, c=4, e=4, f=16) == written(
        """
        class Norm(nn.Module):
            def __init__(self, d):
                super().__init__()
                self.gain = nn.Parameter(torch.ones(d))
                self.shift = nn.Parameter(torch.zeros(d))

            def forward(self, x):
                x = x - x.mean(-1, keepdim=True)  # b n d
                mean = (x * x).mean(-1) + 1e-5  # b n
                x = x / torch.sqrt(mean)[..., None] * self.gain  # b n d
                return x + self.shift  # b n d


        class Heads(nn.Module):
            def __init__(self, d, h, c, e):
                super().__init__()
                self.wq = nn.Parameter(torch.empty(d, h, c).uniform_(-1, 1) / d**0.5)
                self.wk = nn.Parameter(torch.empty(d, h, c).uniform_(-1, 1) / d**0.5)
                self.wv = nn.Parameter(torch.empty(d, h, e).uniform_(-1, 1) / d**0.5)
                self.wo = nn.Parameter(torch.empty(h, e, d).uniform_(-1, 1) / (e * h)**0.5)

            def forward(self, x):
                q = torch.einsum("bnd,dhc->bhnc", x, self.wq)  # b h n c
                k = torch.einsum("bnd,dhc->bhnc", x, self.wk)  # b h n c
                v = torch.einsum("bnd,dhe->bhne", x, self.wv)  # b h n e
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # b h n e
                return torch.einsum("bhne,hed->bnd", mixed, self.wo)  # b n d


        class Mlp(nn.Module):
            def __init__(self, d, f):
                super().__init__()
                self.up = nn.Parameter(torch.empty(d, f).uniform_(-1, 1) / d**0.5)
                self.up_bias = nn.Parameter(torch.empty(f).uniform_(-1, 1) / d**0.5)
                self.down = nn.Parameter(torch.empty(f, d).uniform_(-1, 1) / f**0.5)

            def forward(self, x):
                up = F.gelu(x @ self.up + self.up_bias)  # b n f
                return up @ self.down  # b n d


        class Block(nn.Module):
            def __init__(self, d, h, c, e, f):
                super().__init__()
                self.norm = Norm(d)
                self.heads = Heads(d, h, c, e)
                self.norm_1 = Norm(d)
                self.mlp = Mlp(d, f)

            def forward(self, x):
                x = x + self.heads(self.norm(x))  # b n d
                return x + self.mlp(self.norm_1(x))  # b n d


        class Decoder(nn.Module):
            def __init__(self, d, h, c, e, f):
                super().__init__()
                self.block = Block(d, h, c, e, f)
                self.block_1 = Block(d, h, c, e, f)

            def forward(self, x):
                return self.block_1(self.block(x))  # b n d
        """
    )


def test_a_scan() -> None:
    @vs.diagram
    def cell(h: "e", x: "d") -> {"h": "e", "y": "e"}:
        h = vs.tanh(vs.linear(x, "d", "e", name="w") + vs.linear(h, "e", "e", name="u"))
        return {"h": h, "y": h * h}

    @vs.diagram
    def recurrent(x: "n d", h: "e") -> {"y": "n e", "h": "e"}:
        last, y = vs.scan(cell, over="n", states=[h], sequences=[x])
        return {"y": y, "h": last}

    assert text_of(recurrent.over("b", inputs="x"), d=3, e=4) == written(
        """
        class Cell(nn.Module):
            def __init__(self, d, e):
                super().__init__()
                self.w = nn.Parameter(torch.empty(d, e).uniform_(-1, 1) / d**0.5)
                self.u = nn.Parameter(torch.empty(e, e).uniform_(-1, 1) / e**0.5)

            def forward(self, h, x):
                y = x @ self.w + h @ self.u  # b e
                h = torch.tanh(y)  # b e
                y = h * h  # b e
                return h, y


        class Recurrent(nn.Module):
            def __init__(self, d, e):
                super().__init__()
                self.cell = Cell(d, e)

            def forward(self, x, h):
                b, n, _ = x.shape
                e = h.shape[0]
                h = h.expand(b, -1)
                outputs = []
                for x_t in x.unbind(1):
                    h, y_t = self.cell(h, x_t)
                    outputs.append(y_t)
                y = torch.stack(outputs, dim=1) if outputs else x.new_zeros(b, n, e)  # b n e
                return y, h
        """
    )


@pytest.mark.parametrize(
    ("write", "line"),
    [
        (lambda x, y: x - y, "return x - y"),
        (lambda x, y: 1 - x, "return 1 - x"),
        (lambda x, y: -x - y, "return -x - y"),
        (lambda x, y: x / y, "return x / y"),
        (lambda x, y: 1 / x, "return 1 / x"),
        (lambda x, y: x * y / 3, "return x * y / 3"),
        (lambda x, y: x / vs.size("n"), "return x / n"),
        (lambda x, y: 2 * x * 0.3, "return 0.3 * (2 * x)"),
        (lambda x, y: x / 0.9, "return x / 0.9"),
        (lambda x, y: (x - y) ** 2, "return (x - y)**2"),
        (lambda x, y: -(x**2), "return -x**2"),
        (lambda x, y: vs.mean(x, "d"), "return x.mean(-1)"),
        (lambda x, y: vs.sum(x, "n d"), "return x.sum()"),
        (lambda x, y: vs.max(x, "n"), "return x.amax(0)"),
        (lambda x, y: vs.contract(x, y, over="d"), 'torch.einsum("nd,nd->n", x, y)'),
        (lambda x, y: vs.contract(x, y.rename(n="m"), over="d"), "return x @ y.T"),
        (lambda x, y: vs.contract(x, y.rename(d="e"), over="n"), "return x.T @ y"),
        (lambda x, y: vs.contract(x, y.rename(n="m", d="e")), "x[:, :, None, None] * y"),
        (lambda x, y: vs.split(x, "d", "h:2 c:2"), "return x.unflatten(-1, (2, 2))"),
        (lambda x, y: vs.merge(x, "n d", "k"), "return x.flatten(0, -1)"),
        (lambda x, y: vs.slice(x, "n", 1), "return x[1:]"),
        (lambda x, y: vs.slice(x, "d", 0, 2), "return x[:, :2]"),
        (lambda x, y: vs.slice(x, "n", step=-1), "return x.flip(0)"),
        (lambda x, y: vs.slice(x, "d", 1, 4, step=2), "return x[:, 1::2]"),
        (lambda x, y: vs.pad(x, "n", 1, 2, 0.5), "F.pad(x, (0, 0, 1, 2), value=0.5)"),
        (lambda x, y: vs.concat(x, y, over="d"), "return torch.cat([x, y], dim=-1)"),
        (lambda x, y: vs.expand(0.0, "k:3"), "return x.new_zeros(3)"),
        (lambda x, y: vs.expand(0.3, "k:3"), "return x.new_full((3,), 0.3)"),
        (lambda x, y: vs.where(x < y, x, 0.0), "return torch.where(x < y, x, 0.0)"),
        (lambda x, y: vs.less(x, 2) & vs.less(y, x), "(x < 2) & (y < x)"),
        (lambda x, y: ~vs.less(y, x) | vs.less(x, 0.5), "return ~(y < x) | mask"),
        (lambda x, y: ~vs.less(y, x), "return ~(y < x)"),
        (lambda x, y: vs.softmax(x, "n d"), "masked_softmax(x.flatten(0, -1), dim=-1)"),
        (lambda x, y: vs.exp(vs.log(vs.size("n")) * x), "torch.log(x.new_full((), n))"),
    ],
)
def test_each_line_is_what_one_would_write(write, line) -> None:
    builder = vs.Builder("line")
    x, y = builder.input("x", "n d:4"), builder.input("y", "n d:4")
    with builder:
        result = write(x, y)
    module = vs.to_torch(builder.diagram(result), torch.float64)
    assert line in module.source
    x, y = torch.rand(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x, y), module.diagram.evaluate(x, y))


def test_outputs_come_in_the_order_of_the_interface() -> None:
    @vs.diagram
    def turned(x: "b n d") -> "d b n":
        return vs.tanh(x)

    x = torch.randn(2, 3, 4)
    module = vs.to_torch(turned)
    assert "return torch.tanh(x).permute(2, 0, 1)  # b n d" in module.source
    assert torch.equal(module(x), x.tanh().permute(2, 0, 1))


def test_equal_boxes_share_a_class_and_others_do_not() -> None:
    @vs.diagram
    def several(x: "n d", y: "n g") -> "n":
        x = norm.boxed(mlp.boxed(norm.boxed(mlp.boxed(x))))
        return vs.sum(x, "d") + vs.sum(norm.boxed(y.rename(g="d")), "d")

    source = vs.to_torch(several, sizes={"d": 8, "f": 16, "g": 4}).source
    # The second kind of norm is over g, so its parameters have another type.
    assert [line for line in source.splitlines() if line.startswith("class ")] == [
        "class Mlp(nn.Module):",
        "class Norm(nn.Module):",
        "class Norm_2(nn.Module):",
        "class Several(nn.Module):",
    ]


def test_two_bodies_of_one_name_are_two_classes() -> None:
    def scaled(by):
        @vs.diagram(name="scaled")
        def inner(x: "d") -> "d":
            return x * vs.parameter("w", "d") * by

        return inner

    @vs.diagram
    def both(x: "n d") -> "n d":
        return scaled(3.0).boxed(scaled(2.0).boxed(x))

    module = vs.to_torch(both, torch.float64, sizes={"d": 2}, seed=0)
    assert "class Scaled(nn.Module)" in module.source
    assert "class Scaled_2(nn.Module)" in module.source
    assert list(module.state_dict()) == ["scaled.w", "scaled_1.w"]
    x = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x), x * 6 * module.scaled.w * module.scaled_1.w)


def test_a_box_applied_twice_to_the_same_parameters_is_one_module() -> None:
    @vs.diagram
    def inner(x: "d") -> "d":
        return vs.tanh(vs.linear(x, "d", "d", name="w"))

    @vs.diagram
    def twice(x: "n d") -> "n d":
        w = vs.parameter("inner.w", "d_in:d d")
        return inner.boxed(inner.boxed(x, parameters={"w": w}), parameters={"w": w})

    module = vs.to_torch(twice, torch.float64, sizes={"d": 3}, seed=0)
    assert "return self.inner(self.inner(x))" in module.source
    assert list(module.state_dict()) == ["inner.w"]
    x = torch.randn(2, 3, dtype=torch.float64)
    expected = (x @ module.inner.w).tanh() @ module.inner.w
    torch.testing.assert_close(module(x), expected.tanh())


def test_parameters_that_two_boxes_share_are_handed_over() -> None:
    def using(name, function):
        @vs.diagram(name=name)
        def inner(x: "d") -> "d":
            return function(x * vs.parameter("w", "d"))

        return inner

    @vs.diagram
    def shared(x: "n d") -> "n d":
        w = vs.parameter("part.w", "d")
        one = using("one", vs.tanh).boxed(x, parameters={"w": w})
        return one + using("two", vs.sin).boxed(x, parameters={"w": w})

    module = vs.to_torch(shared, torch.float64, sizes={"d": 3}, seed=0)
    assert list(module.state_dict()) == ["part.w"]
    x = torch.randn(2, 3, dtype=torch.float64)
    y = x * module.part.w
    torch.testing.assert_close(module(x), y.tanh() + y.sin())


# -- names --------------------------------------------------------------------------------------

HOSTILE = [
    "x",
    "n",
    "self",
    "torch",
    "F",
    "lambda",
    "generator",
    "print('x')",
    'a"""\nimport os',
    "a\\",
    "#",
    "日本",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_an_input_breaks_or_enters_the_text(name) -> None:
    builder = vs.Builder(name or "nameless", doc=f'{name} """ \\ \n\n {name}')
    x, other = builder.input(name, "n lambda_"), builder.input("y", "n")
    result = vs.sum(x, "lambda_") * other / vs.size("n")
    diagram = builder.finish([Port(name, result.id, result.names, (0,))])
    module = vs.to_torch(diagram, torch.float64)
    ast.parse(module.source)
    assert "\nimport os" not in module.source
    x, y = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    torch.testing.assert_close(module(x, y), x.sum(1) * y / 3)
    if name != "self":  # which nn.Module takes for its own
        torch.testing.assert_close(module(**{name: x, "y": y}), x.sum(1) * y / 3)


@pytest.mark.parametrize("name", ["lambda", "lambda.class", "d", "c", "_w", "é"])
def test_any_identifier_can_be_a_parameter(name) -> None:
    builder = vs.Builder("named")
    x = builder.input("x", "n d")
    with builder:
        w = vs.parameter(name, "d c")
        table = vs.expand(vs.contract(x, w, over="d c"), "c")
        diagram = builder.diagram(table)
    module = vs.to_torch(diagram, torch.float64, sizes={"d": 2, "c": 3}, seed=0)
    assert list(module.state_dict()) == [name]
    x = torch.randn(4, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x), diagram.evaluate(x, sizes={"d": 2, "c": 3}, seed=0))
    namespace = {}
    exec(module.source, namespace)
    assert list(namespace["Named"](2, 3).state_dict()) == [name]


def test_names_are_cleaned() -> None:
    assert names.identifier("a b") == "a_b"
    assert names.identifier("for") == "for_"
    assert names.identifier("1x") == "x"
    assert names.class_name("multihead_attention") == "MultiheadAttention"
    assert names.class_name("None") == "None_"
    assert names.class_name("") == "Module"
    assert names.clean('a"""\n\tb\\') == "a''' b/"
    assert names.fresh("x", {"x", "x_2"}) == "x_3"


def test_letters_are_distinct_and_stay_the_same() -> None:
    known = {}
    assert names.letters(["n", "heads", "c"], known) == ["n", "h", "c"]
    assert names.letters(["heads", "h"], known) == ["h", "a"]
    assert names.letters(["n", "n", "n"], known) == ["n", "b", "d"]
    many = names.letters([f"axis{k}" for k in range(52)], {})
    assert len(set(many)) == 52


def test_long_calls_are_wrapped() -> None:
    builder = vs.Builder("wide")
    wires = [builder.input(f"a_rather_long_name_{k}", "n") for k in range(12)]
    body = vs.Builder("body")
    inputs = [body.input(f"input_{k}", "n") for k in range(12)]
    total = vs.add(*(vs.sin(x) for x in inputs))
    with builder:
        result = body.diagram(total).boxed(*wires)
    module = vs.to_torch(builder.diagram(result))
    lines = module.source.splitlines()
    assert max(map(len, lines)) <= WIDTH + 8
    values = [torch.randn(3) for _ in range(12)]
    torch.testing.assert_close(module(*values), sum(v.sin() for v in values))
