"""What a run makes: the largest array, and the work of matrix products."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """The entries of the largest array that is made, and the multiplications in matrix products."""

    largest = work = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
            if function in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default):
                self.work += result.numel() * args[0].shape[-1]
        return result
