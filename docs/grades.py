"""Make the page on grades: `python docs/grades.py` writes docs/grades.md and its pictures.

Each picture is a rule of the library at work in its worked example.
"""

from __future__ import annotations

from pathlib import Path

from kept import HERE, PICTURES, write

HEAD = """\
# Grades: what a step promises

Most rewriting engines know one relation between the two sides of a rule, and call it replacing.
Here every rule has a *grade*, which says how the functions of its two sides compare, and every grade
is checked for what it says. A derivation has the grade that its steps compose to, so that "linear
attention from softmax attention" is never mistaken for an equality.

| grade | sign | promise | evidence that a check asks for |
|---|---|---|---|
| `equal` | = | the same function of the same inputs and parameters, over the reals | agreement: exact where that is possible, else sampled |
| `reparametrised` | ≅ | the same set of functions | a *witness*: maps of parameters both ways |
| `limit` | ≈ | the functions of one side come as close as one likes to the other's, as a width grows | a family of witnesses with falling error |
| `reduces` | ⊒ | the right side's functions are among the left side's | a witness from right to left |
| `generalises` | ⊑ | the left side's functions are among the right side's | a witness from left to right |
| `approximates` | ≈ | the outputs differ by less than a bound | the bound, measured |
| `variant` | ≠ | nothing | none; a counterexample to equality is kept |

`equal` is about real numbers. What floats make of it is measured for every such rule, in float32 and
bfloat16 and at several magnitudes: `vesalius verify` prints it.
"""

# Grade, rule of the library, what to know.
ENTRIES = [
    (
        "equal",
        "normalise_late",
        "A denominator may stand before or after the sum that it does not depend on. On the left what "
        "goes is dashed; on the right what comes is ringed.",
    ),
    (
        "reparametrised",
        "scale_into_a_learner",
        "A fixed scale in front of something learned can be learned instead: divide the first layer "
        "by it, or multiply, and the outputs are equal. The two diagrams are different functions of "
        "their parameters, and the same set of functions.",
    ),
    (
        "limit",
        "score_table_to_an_inner_product",
        "Any score of a query and a key, on finitely many of them, is an inner product of feature "
        "vectors, as nearly as their rank allows.",
    ),
    (
        "reduces",
        "share_over_heads",
        "Keys that all heads share are keys of every head that happen to be equal. So multi-query "
        "attention is among the functions of multi-head attention; the witness repeats the weights.",
    ),
    (
        "generalises",
        "merge_queries_and_keys",
        "The product of the query and the key projections is one matrix. As a parameter of its own "
        "it can have a higher rank than the product, so the right side can do more.",
    ),
    (
        "approximates",
        "exponential_to_second_order",
        "Near 0, the exponential is its Taylor polynomial up to an error that is bounded.",
    ),
    (
        "variant",
        "scaled_exponential_to_elu_kernel",
        "Softmax attention becomes linear attention here, and nowhere else: another kernel takes the "
        "place of the exponential.",
    ),
]

TAIL = """\
## How grades compose

`=` changes nothing: equal steps before or after leave a grade as it is. `⊒` after `⊒` is `⊒`, and so
for `⊑`. Up and then down, or down and then up, makes *siblings*: both ends relate to something
between them, and nothing is known of each other (`variant`). A step in a limit makes the whole hold in
a limit. Bounds of `approximates` are carried to the outputs by a stated Lipschitz constant of what
follows the place of the step, and then they add; without one, the composite has no bound.

```python
import vesalius as vs
from vesalius.anatomy.derivations import DERIVATIONS

derivation = DERIVATIONS["softmax-to-linear"]
print(derivation)
```

```text
softmax-to-linear: 5 steps, variant
  1. unfold_softmax (equal)
  2. normalise_late (equal)
  3. scaled_exponential_to_elu_kernel (variant)  ← decides the grade
  4. reassociate (equal)
  5. reassociate (equal)
```

An equality holds inside any diagram. The inclusions hold inside one only while the parameters and
learners that they speak of are used nowhere else in it: two heads that share a projection cannot
each have their own. Where the rest of the diagram goes on using weights that a step exchanges, the
rest keeps the old ones, so that more can be done after the step than before: `reparametrised`
becomes `generalises`, `reduces` becomes `variant`. A limit or a bound passes through continuous
boxes only, which top-k, comparisons and rounding are not.
"""


def made() -> dict[Path, str]:
    """The page and its pictures, by the files that hold them."""
    from vesalius.rewrite.derivation import derive
    from vesalius.rewrite.rules import EXAMPLES, RULES

    lines, files = [HEAD], {}
    for grade, name, words in ENTRIES:
        rule = RULES[name]
        assert rule.grade.name == grade, name
        file = f"grade-{grade}.svg"
        files[PICTURES / file] = derive(EXAMPLES[name], rule).svg()
        law = rule.doc.partition("\n")[0]
        lines += [f"## `{grade}`\n", f"{words}\n", f"`{name}`: {law}\n"]
        lines += [f"![{grade}: {name}](pictures/{file})\n"]
    files[HERE / "grades.md"] = "\n".join([*lines, TAIL])
    return files


if __name__ == "__main__":
    write(made())
