"""Search: equality saturation over a typed e-graph with slots."""
