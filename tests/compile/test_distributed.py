"""Several processes: the gradients of DDP and FSDP2 are those of one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import vesalius as vs
from vesalius.anatomy import parts

WORLD = 2
BATCH = 2  # of each process

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available())
    and not os.environ.get("CI"),
    reason="this build of torch has no gloo",
)


def model() -> nn.Module:
    """Embedding, causal attention, and logits by the table of the embedding: a tied weight."""

    @vs.diagram
    def small(tokens: "n int") -> "n v":
        x, table = parts.embedding(tokens)
        x = x + vs.anatomy["multihead"](causal=True)(x)
        return vs.contract(x, table, over="d")

    sizes = {"v": 11, "d": 16, "h": 2, "c": 8, "e": 8, "p": 7}
    return vs.to_torch(small.over("b"), sizes=sizes, seed=1).double()


def tokens() -> torch.Tensor:
    return torch.randint(11, (WORLD * BATCH, 7), generator=torch.Generator().manual_seed(0))


def gradients(module: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the mean over the rows; a wrapped module has means over processes."""
    module(rows).square().mean().backward()
    return {name: value.grad for name, value in module.named_parameters()}


def replicated(module: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    found = gradients(DistributedDataParallel(module), rows)
    return {name.removeprefix("module."): value for name, value in found.items()}


def sharded(module: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    whole = {name: value.shape for name, value in module.named_parameters()}
    fully_shard(module, mesh=init_device_mesh("cpu", (WORLD,)))
    parts = [value.to_local().numel() for value in module.parameters()]
    assert sum(parts) < sum(shape.numel() for shape in whole.values())
    return {name: grad.full_tensor() for name, grad in gradients(module, rows).items()}


WAYS = {"DDP": replicated, "FSDP2": sharded}


def work(rank: int, folder: str) -> None:
    """What each process does; what it raises, the test raises."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    try:
        wanted = gradients(model(), tokens())
        for way in WAYS.values():
            found = way(model(), tokens()[rank * BATCH :][:BATCH])
            assert list(found) == list(wanted)
            for name, value in wanted.items():
                scale = value.abs().max()
                torch.testing.assert_close(found[name] / scale, value / scale, rtol=0, atol=1e-9)
    finally:
        distributed.destroy_process_group()
    # An interpreter that ends now and then aborts in torch's threads, long after the work is done:
    # this one stops here, with what it found.
    os._exit(0)


def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(work, (str(tmp_path),), nprocs=WORLD)


def test_a_tied_weight_is_one_parameter() -> None:
    names = [name for name, _ in model().named_parameters()]
    assert len(names) == 6  # the table, the positions, and four of the attention
    assert len(names) == len(set(names))
