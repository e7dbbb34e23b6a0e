"""Drawing: string diagrams as pictures.

sketch      what of a diagram is drawn, and as what      (plans, formula, inside: what is folded)
layers      ranks, and the way of long strings through them
order       as few crossings as possible
place       coordinates, by Graphviz; straighten: fewer bends
tubes       which axes are shaded regions      (regions: where)
strings     strokes with their branches and labels
scene       the picture as pure data
svg, html, tikz, dot, strips      the picture written down
"""
