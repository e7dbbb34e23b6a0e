"""Initial values held against those of others: exactly where they are computed, else by their law.

Two samples are of one law if their means and deviations agree within `SIGMAS` of what samples of
their lengths leave open, and Kolmogorov and Smirnov's distance, which tells a uniform law from a
normal one, is what it exceeds once in a million times. Seeds are fixed, so a test never wavers.
"""

import math

import torch

import vesalius as vs

SIGMAS = 5.0
RARE = 1e-6  # how often the distance may be larger by chance
LEAST = 200  # numbers in a sample, lest any law passes


def start(name, options=None, seed=0, **sizes):
    """The initial values of an entry of the catalogue with these sizes, in float64."""
    diagram = vs.anatomy[name](**(options or {}))
    fixed = diagram.substitute(**{k: v for k, v in sizes.items() if k in diagram.size_variables})
    return dict(vs.to_torch(fixed, torch.float64, seed=seed).state_dict())


def exact(ours, theirs, within=1e-6):
    """Equal entry by entry, up to the float32 in which others compute."""
    ours, theirs = ours.double(), theirs.detach().double()
    torch.testing.assert_close(ours, theirs, rtol=within, atol=within)


def same_law(ours, theirs):
    """Two samples of one law."""
    ours, theirs = ours.detach().double().flatten(), theirs.detach().double().flatten()
    n, m = len(ours), len(theirs)
    assert min(n, m) >= LEAST, f"samples of {n} and {m}"
    share = 1 / n + 1 / m
    spread = theirs.std().item()
    assert spread > 0, "theirs does not vary: compare exactly"
    off = abs(ours.mean() - theirs.mean()).item() / (spread * math.sqrt(share))
    assert off < SIGMAS, f"means {ours.mean():.4g} and {theirs.mean():.4g}"
    centred = (theirs - theirs.mean()) / spread
    tail = (centred**4).mean().item() - 1  # the variance of the squares: 2 of a normal law
    off = abs(ours.std().item() / spread - 1) / (0.5 * math.sqrt(tail * share))
    assert off < SIGMAS, f"deviations {ours.std():.4g} and {spread:.4g}"
    every, (one, other) = torch.cat([ours, theirs]), (ours.sort()[0], theirs.sort()[0])
    below = [torch.searchsorted(x, every, right=True) / len(x) for x in (one, other)]
    distance = (below[0] - below[1]).abs().max().item()
    assert distance < math.sqrt(math.log(2 / RARE) / 2 * share), f"distance {distance:.3g}"


def alike(ours, theirs):
    """All parameters, theirs by our names: exactly where they are constant, else by their law."""
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        try:
            if value.detach().double().flatten().std() == 0:
                exact(ours[name], value.expand_as(ours[name]))
            else:
                same_law(ours[name], value)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
