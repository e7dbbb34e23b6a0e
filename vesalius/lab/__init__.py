"""Experiments on real data, made of everything else in the library."""
