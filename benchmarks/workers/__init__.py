"""One file a peer: its ``OPERATIONS``, each a function from arguments to something to measure.

All peers build the same two shapes. A *chain* of n boxes alternates f and g on one wire. A
*brick* wall of n boxes lays two-in two-out boxes on w wires: a row at offsets 0, 2, 4, …, then a
row at offsets 1, 3, 5, …, and so on until there are n boxes. ``build_*`` uses the operator that
the peer's users write, one box at a time; ``build_*_bulk`` the fastest public call that makes the
same diagram. Inputs of the other operations are made in bulk, outside the measurement.
"""
