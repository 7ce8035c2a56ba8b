"""Whose windows are decoded next: callers take turns, and none can hold all slots for long.

Deficit round robin over callers, the quantum being windows (Shreedhar and Varghese, "Efficient Fair
Queuing using Deficit Round Robin", 1995).
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter

from speech_endpoint.whisper.batching.sequence import Caller, DecodeRequest

# Windows admitted together: more gain nothing on a CPU and cost memory.
MAX_ADMISSION = 4
# Of the slots, this part is not given to a caller of many windows while others wait.
RESERVED = 1 / 4


class WaitingWindows:
    """The windows of all callers that wait for a slot."""

    def __init__(self) -> None:
        self._waiting: dict[Caller, list[tuple[float, int, DecodeRequest]]] = {}
        """Heaps of (start, order of arrival, request), the caller whose turn it is first."""
        self._arrivals = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def add(self, request: DecodeRequest) -> None:
        """Let a window wait. A caller begins with its earliest windows: so a recording's text is
        final from its beginning on."""
        waiting = self._waiting.setdefault(request.group.caller, [])
        heapq.heappush(waiting, (request.start_s, next(self._arrivals), request))

    def drop(self, caller: Caller) -> None:
        """Forget a caller's windows."""
        self._waiting.pop(caller, None)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def take(
        self, n_free: int, n_slots: int, held: Counter[Caller], *, only_short: bool = False
    ) -> list[DecodeRequest]:
        """The next windows to be decoded, which wait no longer.

        Args:
            n_free: slots that are free.
            n_slots: of the engine.
            held: how many slots each caller has.
            only_short: pass over callers who have many windows.

        Returns:
            Windows of one group, as many as its caller's turn allows; none where all who wait hold
            as many slots as they may. The caller then goes to the end.
        """
        for caller in self._waiting:
            if only_short and not caller.is_short:
                continue
            n = min(n_free, self._quantum(caller), self._limit(caller, n_slots) - held[caller])
            if n > 0:
                return self._pop(caller, n)
        return []

    def _quantum(self, caller: Caller) -> int:
        return caller.weight if len(self._waiting) > 1 else MAX_ADMISSION

    def _limit(self, caller: Caller, n_slots: int) -> int:
        limit = n_slots
        if len(self._waiting) > 1 and not caller.is_short:
            limit = max(1, n_slots - round(RESERVED * n_slots))
        return min(limit, caller.max_slots or limit)

    def _pop(self, caller: Caller, n: int) -> list[DecodeRequest]:
        waiting = self._waiting.pop(caller)
        requests = [heapq.heappop(waiting)[-1]]
        # Windows that are prefilled together share their options.
        while len(requests) < n and waiting and waiting[0][-1].group is requests[0].group:
            requests.append(heapq.heappop(waiting)[-1])
        if waiting:
            self._waiting[caller] = waiting
        return requests
