"""Tiny encoders and made-up texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from model.dataset import Example

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
GOOD, BAD, PLAIN = ("soars", "rallies"), ("plunges", "slumps"), ("meets", "opens")
FIRMS = ("Acme", "Bolt", "Crane", "Dunes", "Elm", "Fjord", "Gale", "Harbour")
REST = ("", "on Monday", "after the report of the third quarter", "in a day of little trading")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
OTHER_SIZES = {"intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 1}
ARCHITECTURES = ("bert", "roberta", "deberta-v2", "modernbert")

SEQUENCES = [[0, 9, 8, 7, 6, 2], [0, 5, 4, 2], [0, 6, 2]]
"""Token ids that the tiny encoders know."""


def texts() -> list[Example]:
    """Texts whose verb tells the sentiment and the topic."""
    return [
        Example(f"{firm} {verb} {rest}".strip(), sentiment, 5 + sentiment)
        for firm in FIRMS
        for sentiment, verbs in enumerate((BAD, PLAIN, GOOD))
        for verb, rest in zip(verbs, (REST[len(firm) % 4], REST[sentiment]), strict=True)
    ]


def answers(model: onnx.ModelProto, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """What a graph says of token ids, one sequence after the other: both heads of each."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = []
    for ids in sequences:
        one = np.array([ids], np.int64)
        found += session.run(None, {"input_ids": one, "attention_mask": np.ones_like(one)})
    return found


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks gain nothing by more, and lose much where other work goes on."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """40 to train on."""
    return texts()[:40]


@pytest.fixture(scope="session")
def dev() -> list[Example]:
    """Eight others, some of them without one of the labels."""
    first, *others = texts()[40:]
    return [Example(first.text, first.sentiment), *others]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``backbone(architecture)`` is the folder of a tiny encoder with random weights."""

    @cache
    def made(architecture: str) -> Path:
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

        words = sorted({word for example in texts() for word in example.text.split()})
        vocabulary = {word: i for i, word in enumerate((*SPECIAL, *words))}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> $B </s>",
            special_tokens=[("<s>", 0), ("</s>", 2)],
        )
        torch.manual_seed(1)
        folder = tmp_path_factory.mktemp(architecture)
        config = AutoConfig.for_model(
            architecture, vocab_size=len(vocabulary), **SIZES, **OTHER_SIZES
        )
        AutoModel.from_config(config).save_pretrained(folder)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            cls_token="<s>",
            pad_token="<pad>",
            eos_token="</s>",
            sep_token="</s>",
            unk_token="<unk>",
            model_max_length=64,
            model_input_names=["input_ids", "attention_mask"],
        ).save_pretrained(folder)
        return folder

    return made
