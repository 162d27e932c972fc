from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from model.network import TwoHeadClassifier
from tests.training.conftest import ARCHITECTURES

PAD = 1
IDS = torch.tensor([[0, 9, 8, 7, 6, 2], [0, 9, 8, 2, PAD, PAD]])
MASK = (IDS != PAD).long()


@pytest.fixture(params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, backbone: Callable[[str], Path]) -> Path:
    return backbone(request.param)


@pytest.fixture
def network(folder: Path) -> TwoHeadClassifier:
    torch.manual_seed(2)
    return TwoHeadClassifier.from_backbone(folder).eval()


@torch.inference_mode()
def test_both_heads_answer_for_each_text(network: TwoHeadClassifier) -> None:
    sentiment, topic = network(IDS, MASK)
    assert (sentiment.shape, topic.shape) == ((2, 3), (2, 20))
    assert torch.isfinite(sentiment).all()
    assert torch.isfinite(topic).all()


@torch.inference_mode()
def test_padding_changes_nothing(network: TwoHeadClassifier) -> None:
    together = network(IDS, MASK)
    alone = network(IDS[1:, :4], MASK[1:, :4])
    for padded, bare in zip(together, alone, strict=True):
        torch.testing.assert_close(padded[1:], bare, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_the_heads_see_the_mean_of_the_unmasked_states(network: TwoHeadClassifier) -> None:
    states = network.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
    means = torch.stack([states[0].mean(0), states[1, :4].mean(0)])
    torch.testing.assert_close(network(IDS, MASK)[0], network.sentiment(means))


@torch.inference_mode()
def test_what_is_saved_is_read_back(network: TwoHeadClassifier, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    again = TwoHeadClassifier.from_pretrained(tmp_path).eval()
    assert again.config.backbone["model_type"] == network.config.backbone["model_type"]
    for before, after in zip(network(IDS, MASK), again(IDS, MASK), strict=True):
        assert torch.equal(before, after)


@torch.inference_mode()
def test_the_encoder_is_that_of_the_backbone(network: TwoHeadClassifier, folder: Path) -> None:
    encoder = AutoModel.from_pretrained(folder).eval()
    expected = encoder.state_dict()
    for name, weight in network.encoder.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    states = encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
    ours = network.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
    torch.testing.assert_close(ours, states)


def test_a_pooler_is_not_trained_for_nothing(network: TwoHeadClassifier) -> None:
    assert not [name for name, _ in network.named_parameters() if "pooler" in name]
    assert network.get_input_embeddings().weight.shape[1] == 32


def test_the_tokenizer_of_a_backbone_takes_pairs(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.pad_token_id == PAD
    assert tokenizer("Acme soars", "Acme")["input_ids"].count(2) == 2
