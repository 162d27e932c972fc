from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.dataset import UNKNOWN, Example
from model.encoding import LengthBatches
from model.loss import disagreement, loss_of, sentiment_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.3, 0.2, -0.7], [-1.0, 0.0, 1.0]])
WEIGHTS = torch.tensor([1.2, 0.7, 1.1])


def test_unknown_labels_contribute_nothing() -> None:
    sentiment = LOGITS.clone().requires_grad_()
    topic = torch.randn(3, 20, requires_grad=True)
    labels = torch.tensor([0, UNKNOWN, 2]), torch.tensor([UNKNOWN, 4, UNKNOWN])
    loss = loss_of((sentiment, topic), *labels, WEIGHTS, 0.1)
    loss.backward()
    assert not sentiment.grad[1].any()
    assert not topic.grad[[0, 2]].any()
    assert sentiment.grad[[0, 2]].all()
    assert topic.grad[1].all()
    known = loss_of(
        (sentiment[[0, 2]], topic[[0, 2]]), labels[0][[0, 2]], labels[1][[0, 2]], WEIGHTS, 0.1
    ) + loss_of((sentiment[[1]], topic[[1]]), labels[0][[1]], labels[1][[1]], WEIGHTS, 0.1)
    torch.testing.assert_close(loss, known)


def test_a_batch_without_labels_costs_nothing() -> None:
    sentiment, topic = LOGITS.clone().requires_grad_(), torch.randn(3, 20, requires_grad=True)
    unknown = torch.full((3,), UNKNOWN)
    loss = loss_of((sentiment, topic), unknown, unknown, WEIGHTS, 0.1)
    assert loss == 0
    loss.backward()


def spoken(sentiment: torch.Tensor, topic: torch.Tensor) -> torch.Tensor:
    return torch.cat([sentiment, topic], 1)


NOTHING = torch.full((3, 20), float("nan"))
UNKNOWNS = torch.full((3,), UNKNOWN)


def test_teachers_alone_make_the_loss_of_what_has_no_label() -> None:
    said = LOGITS.flip(0).softmax(1)
    loss = loss_of(
        (LOGITS, torch.randn(3, 20)),
        UNKNOWNS,
        UNKNOWNS,
        WEIGHTS,
        0.1,
        spoken(said, NOTHING),
        share=0.3,
    )
    torch.testing.assert_close(loss, -(said * LOGITS.log_softmax(1)).sum(1).mean())


def test_teachers_make_a_share_of_the_loss_of_what_has_a_label() -> None:
    labels = torch.tensor([0, 1, 2])
    sure = torch.nn.functional.one_hot(labels, 3).float()
    logits = LOGITS, torch.randn(3, 20)

    def loss(said: torch.Tensor, share: float, weights: torch.Tensor) -> torch.Tensor:
        return loss_of(logits, labels, UNKNOWNS, weights, 0.0, spoken(said, NOTHING), share)

    equal = torch.ones(3)
    alone = loss_of(logits, labels, UNKNOWNS, WEIGHTS, 0.0)
    # What agrees with the labels changes nothing, and with no share nobody is heard.
    torch.testing.assert_close(
        loss(sure, 0.4, equal), loss_of(logits, labels, UNKNOWNS, equal, 0.0)
    )
    torch.testing.assert_close(loss(sure.flip(1), 0.0, WEIGHTS), alone)
    other = -(sure.flip(1) * LOGITS.log_softmax(1)).sum(1)
    own = -(sure * LOGITS.log_softmax(1)).sum(1)
    torch.testing.assert_close(loss(sure.flip(1), 0.4, equal), (0.6 * own + 0.4 * other).mean())


def test_of_whom_no_teacher_speaks_the_label_counts_in_full() -> None:
    labels = torch.tensor([0, UNKNOWN, 2])
    silent = spoken(torch.full((3, 3), float("nan")), NOTHING)
    sentiment = LOGITS.clone().requires_grad_()
    logits = sentiment, torch.randn(3, 20)
    found = loss_of(logits, labels, UNKNOWNS, WEIGHTS, 0.1, silent, share=0.7)
    torch.testing.assert_close(found, loss_of(logits, labels, UNKNOWNS, WEIGHTS, 0.1))
    found.backward()
    assert sentiment.grad.isfinite().all()
    assert not sentiment.grad[1].any()


def test_rare_sentiments_weigh_more() -> None:
    found = sentiment_weights([Example("a", s) for s in (0, 1, 1, 1, 1, 2, 2, UNKNOWN)])
    torch.testing.assert_close(found / found[1], torch.tensor([2.0, 1.0, 2**0.5]))
    assert found.mean() == pytest.approx(1)


def test_views_disagree_by_the_divergence_of_their_probabilities() -> None:
    one, other = LOGITS.softmax(1), LOGITS.flip(1).softmax(1)
    ratio = (one / other).log()
    expected = ((one * ratio).sum() - (other * ratio).sum()) / 2 / 3
    halves = torch.cat([LOGITS, LOGITS.flip(1)])
    same = torch.zeros(6, 20)
    torch.testing.assert_close(disagreement((halves, same)), expected)
    torch.testing.assert_close(disagreement((same[:, :3], halves)), expected)


def test_views_that_agree_cost_nothing_whatever_they_say() -> None:
    twice = torch.cat([LOGITS, LOGITS + 3]).requires_grad_()
    loss = disagreement((twice, torch.ones(6, 20)))
    torch.testing.assert_close(loss, torch.zeros(()))
    loss.backward()
    torch.testing.assert_close(twice.grad, torch.zeros(6, 3))


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=120)


def batches(found: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    data = SimpleNamespace(ids=[[0] * length for length in found], epoch=epoch)
    sampler = LengthBatches(data, size, seed)
    made = list(sampler)
    assert len(made) == len(sampler)
    return made


@given(lengths, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_takes_each_text_once(found: list[int], size: int, seed: int, epoch: int) -> None:
    made = batches(found, size, seed, epoch)
    assert sorted(index for batch in made for index in batch) == list(range(len(found)))
    assert all(0 < len(batch) <= size for batch in made)
    assert made == batches(found, size, seed, epoch)


def test_each_view_of_a_batch_has_all_its_texts() -> None:
    data = SimpleNamespace(ids=[[0]] * 10, epoch=0)
    for batch in LengthBatches(data, 4, 7, views=2):
        one, other = batch[: len(batch) // 2], batch[len(batch) // 2 :]
        assert other == [index + 10 for index in one]
        assert all(index < 10 for index in one)


def test_each_epoch_and_seed_has_its_own_order() -> None:
    found = [1 + i % 7 for i in range(64)]
    first = batches(found, 4, 7, 0)
    assert first != batches(found, 4, 7, 1)
    assert first != batches(found, 4, 8, 0)
    assert all(max(found[i] for i in b) - min(found[i] for i in b) <= 1 for b in first)
