"""Memory for the bodies of all requests together.

A request takes all that its body may need before it reads: were it taken as it comes, callers who
each hold a part would wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque

from speech_endpoint.server.errors import ApiError, retry_headers

RETRY_AFTER_S = 10.0


class UploadBudget:
    """Bytes that callers may hold together; who needs more waits a while, first come first served.

    Of one event loop.
    """

    def __init__(self, limit_bytes: int, patience_s: float) -> None:
        """
        Args:
            limit_bytes: of all callers.
            patience_s: how long one waits for bytes before it is refused.
        """
        self.limit_bytes, self.patience_s = limit_bytes, patience_s
        self.used_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def account(self) -> Account:
        """For one request."""
        return Account(self)

    async def take(self, n_bytes: int) -> None:
        """Wait for room.

        Raises:
            ApiError: 429, there was none in time.
        """
        if not self._waiting and self.used_bytes + n_bytes <= self.limit_bytes:
            self.used_bytes += n_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (n_bytes, turn)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(self.patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # Served in the very moment in which it gave up.
                self.used_bytes -= n_bytes
            elif entry in self._waiting:
                self._waiting.remove(entry)
            self._serve()
            if isinstance(error, TimeoutError):
                raise ApiError(
                    429,
                    "upload_memory_full",
                    "others' uploads fill the memory that is set aside for them; come back later",
                    headers=retry_headers(RETRY_AFTER_S),
                ) from None
            raise

    def give_back(self, n_bytes: int) -> None:
        """Bytes that are held no longer."""
        self.used_bytes -= n_bytes
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            n_bytes, turn = self._waiting[0]
            if self.used_bytes + n_bytes > self.limit_bytes:
                return
            self._waiting.popleft()
            if not turn.done():
                self.used_bytes += n_bytes
                turn.set_result(None)


class Account:
    """What one request holds; a context manager that gives it back."""

    def __init__(self, budget: UploadBudget) -> None:
        self.budget = budget
        self.held_bytes = 0

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *error: object) -> None:
        self.keep(0)

    async def take(self, n_bytes: int) -> None:
        """Wait for room, once a request; raises as `UploadBudget.take` does."""
        await self.budget.take(n_bytes)
        self.held_bytes += n_bytes

    def keep(self, n_bytes: int) -> None:
        """Give back what is more than that."""
        spare_bytes = max(0, self.held_bytes - n_bytes)
        self.held_bytes -= spare_bytes
        self.budget.give_back(spare_bytes)
