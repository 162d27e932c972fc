from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from model.batching import BUCKETS, Batch, buckets_for, plan

LENGTHS = st.lists(st.integers(0, 700), max_size=80)
BUDGETS = st.integers(1, 3_000)
SOME_BUCKETS = st.lists(st.integers(1, 600), min_size=1, unique=True).map(sorted)


@given(LENGTHS, BUDGETS, SOME_BUCKETS)
def test_every_text_is_in_one_batch(lengths: list[int], budget: int, buckets: list[int]) -> None:
    batches = plan(lengths, budget, buckets)
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(lengths)))


@given(LENGTHS, BUDGETS, SOME_BUCKETS)
def test_no_batch_is_over_budget_but_a_text_alone(
    lengths: list[int], budget: int, buckets: list[int]
) -> None:
    for batch in plan(lengths, budget, buckets):
        assert len(batch.indices) * batch.length <= budget or len(batch.indices) == 1


@given(LENGTHS, BUDGETS, SOME_BUCKETS)
def test_a_text_is_padded_to_the_least_bucket_that_holds_it(
    lengths: list[int], budget: int, buckets: list[int]
) -> None:
    for batch in plan(lengths, budget, buckets):
        for index in batch.indices:
            assert batch.length == min(
                (b for b in buckets if b >= lengths[index]), default=lengths[index]
            )


@given(LENGTHS, BUDGETS)
def test_longer_texts_come_first(lengths: list[int], budget: int) -> None:
    order = [lengths[i] for batch in plan(lengths, budget) for i in batch.indices]
    assert order == sorted(lengths, reverse=True)


@given(LENGTHS, BUDGETS, SOME_BUCKETS)
def test_batches_are_as_full_as_they_may_be(
    lengths: list[int], budget: int, buckets: list[int]
) -> None:
    batches = plan(lengths, budget, buckets)
    for batch, after in pairwise(batches):
        if batch.length == after.length:
            assert (len(batch.indices) + 1) * batch.length > budget


def test_an_example() -> None:
    assert plan([5, 16, 40, 3, 20], 48) == [Batch((2,), 48), Batch((4,), 24), Batch((1, 0, 3), 16)]
    assert plan([], 100) == []
    assert plan([9_000], 100) == [Batch((0,), 9_000)]
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_no_bucket_is_longer_than_a_model_reads() -> None:
    assert buckets_for(512) == BUCKETS
    assert buckets_for(40) == (16, 24, 32, 40)
    assert buckets_for(8) == (8,)
