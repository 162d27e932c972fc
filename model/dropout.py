"""Dropout whose masks cost little on a CPU.

torch draws the random numbers of a mask there one after the other, on one core, 64 bits for each
element. Eight bits are enough to drop one in ten (docs/decisions/0012-training.md has the times).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 256
"""Of a byte: shares are rounded to one in so many."""


class ByteDropout(nn.Module):
    """``nn.Dropout`` with a random byte an element: 0.1 is 26 in 256.

    Source: Srivastava et al., JMLR 15 (2014) 1929.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(p * LEVELS)
        self.p = self.dropped / LEVELS
        """share that is dropped, as rounded"""

    def forward(self, states: Tensor) -> Tensor:
        """The states; while training some are 0 and the others are made up for it."""
        if not self.training or not self.dropped:
            return states
        words = torch.empty(-(-states.numel() // 8), dtype=torch.int64)
        # From the least number there is, so that all 64 bits are random.
        words.random_(torch.iinfo(torch.int64).min, None)
        kept = words.view(torch.uint8)[: states.numel()].view(states.shape) >= self.dropped
        return states * kept.to(states.dtype).mul_(1 / (1 - self.p))


def quicken(network: nn.Module) -> None:
    """Replace ``nn.Dropout`` wherever it stands in a network that is to be trained on a CPU."""
    for module in list(network.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.Dropout) and part.p < 1:
                setattr(module, name, ByteDropout(part.p).train(part.training))
