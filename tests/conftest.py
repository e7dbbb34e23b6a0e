"""Hypothesis profiles for the whole suite, and one thread for its small tensors.

`ci`, the default, draws the same examples every time. `soak` draws many, at random, and prints
how to repeat a failure. Choose with the environment variable `HYPOTHESIS_PROFILE`.
"""

import os

import torch
from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=3000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

torch.set_num_threads(1)  # more only wait for each other where every tensor is tiny
