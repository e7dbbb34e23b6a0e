"""The organs of attention: functions on wires that every mechanism is put together from.

Axes have the names of the literature: `n` queries, `m` keys, `c` channels of queries and keys,
`e` channels of values, `h` heads, `d` the model's channels, `a` and `f` hidden units. A part binds
only what its formula binds; heads, batches and whatever else the wires carry are tubes.

Each formula of the catalogue is written once, in the file of its slot. The first line of a part's
docstring is its formula as `vesalius show` prints it.

While a mechanism is dissected, what a part of this package makes is a box of its own.
"""

import inspect

from vesalius.anatomy.dissection import part

# All that these files define is here: `parts.softmax`.
from vesalius.anatomy.parts.attention_free import *
from vesalius.anatomy.parts.axes import *
from vesalius.anatomy.parts.blocks import *
from vesalius.anatomy.parts.convolutions import *
from vesalius.anatomy.parts.gated import *
from vesalius.anatomy.parts.gates import *
from vesalius.anatomy.parts.graphs import *
from vesalius.anatomy.parts.kernels import *
from vesalius.anatomy.parts.landmarks import *
from vesalius.anatomy.parts.masks import *
from vesalius.anatomy.parts.memories import *
from vesalius.anatomy.parts.mixing import *
from vesalius.anatomy.parts.neighbourhoods import *
from vesalius.anatomy.parts.normalisers import *
from vesalius.anatomy.parts.norms import *
from vesalius.anatomy.parts.patterns import *
from vesalius.anatomy.parts.positions import *
from vesalius.anatomy.parts.preparation import *
from vesalius.anatomy.parts.recurrences import *
from vesalius.anatomy.parts.rounds import *
from vesalius.anatomy.parts.selection import *
from vesalius.anatomy.parts.similarity import *
from vesalius.anatomy.parts.simplex import *
from vesalius.anatomy.parts.synthesis import *
from vesalius.anatomy.parts.transformer import *

for _name, _function in list(globals().items()):
    if inspect.isfunction(_function) and _function.__module__.startswith(f"{__name__}."):
        globals()[_name] = part(_function)
