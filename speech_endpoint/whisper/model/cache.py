"""What the decoder remembers of the windows that it is decoding."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

# Lengths of the attention over text are rounded up to a multiple: the kernel's order of summing,
# and so the last bits, depend on the length.
LENGTH_MULTIPLE = 64


@dataclass
class DecoderCache:
    """A slot per row, allocated once and reused by later windows.

    Shapes: self_keys and self_values (layers, slots, heads, positions, d); cross_keys (layers,
    slots, heads, 1500, d); cross_values (layers, slots, heads, …) as the backend lays them out;
    alignment_queries (slots, alignment heads, positions, d): what the alignment heads looked for in
    the audio, of which their weights are computed once, when the window is done.
    """

    self_keys: Tensor
    self_values: Tensor
    cross_keys: Tensor
    cross_values: Tensor
    alignment_queries: Tensor
    _columns: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._columns = torch.arange(self.self_keys.shape[3], device=self.self_keys.device)

    @property
    def n_slots(self) -> int:
        return len(self.alignment_queries)

    @property
    def n_positions(self) -> int:
        return self.self_keys.shape[3]

    def slots(self, first: int, last: int) -> DecoderCache:
        """A view of the slots first … last - 1."""
        return DecoderCache(
            self.self_keys[:, first:last],
            self.self_values[:, first:last],
            self.cross_keys[:, first:last],
            self.cross_values[:, first:last],
            self.alignment_queries[first:last],
        )

    def move(self, source: int, target: int, n_positions: int) -> None:
        """Copy slot `source`, of which `n_positions` are used, over slot `target`."""
        for cache in (self.self_keys, self.self_values):
            cache[:, target, :, :n_positions] = cache[:, source, :, :n_positions]
        for cache in (self.cross_keys, self.cross_values):
            cache[:, target] = cache[:, source]
        queries = self.alignment_queries
        queries[target, :, :n_positions] = queries[source, :, :n_positions]

    def attention_length(self, n_positions: int) -> int:
        """How many positions the self-attention covers where the furthest row uses so many."""
        multiples = (n_positions + LENGTH_MULTIPLE - 1) // LENGTH_MULTIPLE
        return min(self.n_positions, multiples * LENGTH_MULTIPLE)

    def causal_mask(self, positions: Tensor, length: int) -> Tensor:
        """Where each query may look: the cache up to its own position.

        Args:
            positions: (rows, n), of the queries.
            length: positions that the attention covers.

        Returns:
            (rows, 1, n, length), in the cache's number format: 0, and -inf where it may not. Added
            to the scores as it is, where each layer would make that of a bool.
        """
        hidden = self._columns[:length] > positions[:, :, None]
        mask = self.self_keys.new_zeros(hidden.shape)
        return mask.masked_fill_(hidden, -torch.inf)[:, None]
