"""Memory that all uploads share."""

from __future__ import annotations

import asyncio

import pytest

from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.uploads.budget import UploadBudget

pytestmark = pytest.mark.pure


def test_who_finds_no_memory_is_refused_and_told_when_to_come_back() -> None:
    async def scenario() -> None:
        budget = UploadBudget(100, patience_s=0.01)
        with budget.account() as first:
            await first.take(80)
            with budget.account() as second:
                with pytest.raises(ApiError) as caught:
                    await second.take(30)
                error = caught.value
                assert (error.status, error.code) == (429, "upload_memory_full")
                assert int(error.headers["retry-after"]) >= 1
            assert budget.used_bytes == 80
        assert budget.used_bytes == 0

    asyncio.run(scenario())


def test_small_bodies_wait_for_no_large_one() -> None:
    """Two slow uploads of most of the memory, and one that waits for them."""

    async def scenario() -> None:
        budget = UploadBudget(6400, patience_s=30)
        accounts = [budget.account() for _ in range(4)]
        await accounts[0].take(3400)
        large = [asyncio.ensure_future(account.take(2900)) for account in accounts[1:3]]
        await asyncio.sleep(0)
        for _ in range(20):
            with budget.account() as small:
                await asyncio.wait_for(small.take(100), timeout=5)
        assert not any(taking.done() for taking in large)
        accounts[0].keep(0)
        await large[0]
        assert budget.used_bytes == 2900
        accounts[1].keep(0)
        await large[1]

    asyncio.run(scenario())


def test_one_body_may_have_all_the_memory() -> None:
    async def scenario() -> None:
        budget = UploadBudget(100, patience_s=0.01)
        with budget.account() as only:
            await only.take(100)
            assert budget.used_bytes == 100

    asyncio.run(scenario())


def test_who_waits_gets_what_others_give_back_in_order() -> None:
    async def scenario() -> None:
        budget = UploadBudget(100, patience_s=30)
        served: list[int] = []

        async def upload(number: int, n_bytes: int) -> None:
            with budget.account() as account:
                await account.take(n_bytes)
                served.append(number)

        with budget.account() as first:
            await first.take(100)
            uploads = [asyncio.ensure_future(upload(n, 60)) for n in range(5)]
            await asyncio.sleep(0)
            assert served == []
        await asyncio.gather(*uploads)
        assert served == [0, 1, 2, 3, 4] and budget.used_bytes == 0

    asyncio.run(scenario())


def test_who_gives_up_while_waiting_leaves_no_trace() -> None:
    async def scenario() -> None:
        budget = UploadBudget(100, patience_s=30)
        with budget.account() as first, budget.account() as second:
            await first.take(100)
            waiting = [asyncio.ensure_future(second.take(50)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            # Served in the same turn of the loop in which it is cancelled.
            first.keep(0)
            waiting[1].cancel()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2
            assert results[2] is None and budget.used_bytes == 50
        assert budget.used_bytes == 0

    asyncio.run(scenario())


def test_fifty_slow_callers_never_hold_more_than_there_is() -> None:
    async def scenario() -> None:
        budget, most = UploadBudget(1000, patience_s=30), 0

        async def upload() -> None:
            nonlocal most
            with budget.account() as account:
                await account.take(400)
                most = max(most, budget.used_bytes)
                await asyncio.sleep(0)
                account.keep(100)
                most = max(most, budget.used_bytes)
                await asyncio.sleep(0)

        await asyncio.gather(*(upload() for _ in range(50)))
        assert most <= 1000 and budget.used_bytes == 0

    asyncio.run(scenario())
