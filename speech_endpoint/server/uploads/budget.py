"""Memory for the bodies of all requests together.

A request takes all that its body may need before it reads: were it taken as it comes, callers who
each hold a part would wait for each other. Large bodies together take a part of the memory only,
and small ones wait for none of them: a few slow callers hold up nobody but each other.
"""

from __future__ import annotations

import asyncio
from collections import deque

from speech_endpoint.server.errors import ApiError, retry_headers

RETRY_AFTER_S = 10.0
LARGE_PART = 0.75
"""What large bodies may have together; one that needs more, if it is the only one."""
SMALL_PART = 1 / 64
"""Of the memory: who needs no more is small."""


_Queue = deque[tuple[int, asyncio.Future[None]]]


class UploadBudget:
    """Bytes that callers may hold together; who needs more waits a while, first come first served
    among the small and among the large.

    Of one event loop.
    """

    def __init__(self, limit_bytes: int, patience_s: float) -> None:
        """
        Args:
            limit_bytes: of all callers.
            patience_s: how long one waits for bytes before it is refused.
        """
        self.limit_bytes, self.patience_s = limit_bytes, patience_s
        self.used_bytes = self._large_bytes = 0
        # The small ones first.
        self._waiting: tuple[_Queue, _Queue] = (deque(), deque())

    def account(self) -> Account:
        """For one request."""
        return Account(self)

    async def take(self, n_bytes: int) -> None:
        """Wait for room.

        Raises:
            ApiError: 429, there was none in time.
        """
        waiting = self._waiting[self.is_large(n_bytes)]
        if not waiting and self._has_room(n_bytes):
            self._hold(n_bytes, is_large=self.is_large(n_bytes))
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (n_bytes, turn)
        waiting.append(entry)
        try:
            async with asyncio.timeout(self.patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # Served in the very moment in which it gave up.
                self._hold(-n_bytes, is_large=self.is_large(n_bytes))
            elif entry in waiting:
                waiting.remove(entry)
            self._serve()
            if isinstance(error, TimeoutError):
                raise ApiError(
                    429,
                    "upload_memory_full",
                    "others' uploads fill the memory that is set aside for them; come back later",
                    headers=retry_headers(RETRY_AFTER_S),
                ) from None
            raise

    def give_back(self, n_bytes: int, *, is_large: bool) -> None:
        """Bytes that are held no longer, of a body that was large when they were taken, or not."""
        self._hold(-n_bytes, is_large=is_large)
        self._serve()

    def is_large(self, n_bytes: int) -> bool:
        """Whether a body of so many bytes is."""
        return n_bytes > self.limit_bytes * SMALL_PART

    def _has_room(self, n_bytes: int) -> bool:
        is_beside_others = self.is_large(n_bytes) and self._large_bytes > 0
        if is_beside_others and self._large_bytes + n_bytes > self.limit_bytes * LARGE_PART:
            return False
        return self.used_bytes + n_bytes <= self.limit_bytes

    def _hold(self, n_bytes: int, *, is_large: bool) -> None:
        self.used_bytes += n_bytes
        if is_large:
            self._large_bytes += n_bytes

    def _serve(self) -> None:
        for waiting in self._waiting:
            while waiting and self._has_room(waiting[0][0]):
                n_bytes, turn = waiting.popleft()
                if not turn.done():
                    self._hold(n_bytes, is_large=self.is_large(n_bytes))
                    turn.set_result(None)


class Account:
    """What one request holds; a context manager that gives it back."""

    def __init__(self, budget: UploadBudget) -> None:
        self.budget = budget
        self.held_bytes = 0
        self._is_large = False

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *error: object) -> None:
        self.keep(0)

    async def take(self, n_bytes: int) -> None:
        """Wait for room, once a request; raises as `UploadBudget.take` does."""
        await self.budget.take(n_bytes)
        self._is_large = self.budget.is_large(n_bytes)
        self.held_bytes += n_bytes

    def keep(self, n_bytes: int) -> None:
        """Give back what is more than that."""
        spare_bytes = max(0, self.held_bytes - n_bytes)
        self.held_bytes -= spare_bytes
        self.budget.give_back(spare_bytes, is_large=self._is_large)
