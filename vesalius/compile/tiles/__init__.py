"""Tile and skip: a region of a diagram that runs on some rows at a time.

`region` finds it, `body` makes it a diagram of its own, `traces` follows axes through it,
`skipping` says which columns a mask hides, `laws` say it so that it is quick, `split` takes out
what tiles share, `plan` puts all this together, and `run` runs it.
"""
