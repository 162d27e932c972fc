"""Examples as padded batches of token ids, in an order that repeats."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerFast

from model.dataset import Example


class Tokenized(TorchDataset[dict[str, Any]]):
    """Examples as token ids; a target is the second text of its pair.

    With ``vary`` an item is a variation of its example, another one in each epoch; ``ids`` stay
    those of the examples as they are. Indices from ``len`` on begin anew: they are further views of
    the same examples. Workers that load items get a copy when they start: the epoch is set before
    that. ``taught`` has a row an example, what teachers say of it (see ``model.soft``).
    """

    def __init__(
        self,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerFast,
        max_tokens: int,
        vary: Callable[[int, int, int], Example] | None = None,
        taught: np.ndarray | None = None,
    ) -> None:
        self.examples = list(examples)
        self.ids = [encode(tokenizer, e.text, e.target, max_tokens) for e in examples]
        self.epoch = 0
        self._tokenizer, self._max_tokens, self._vary = tokenizer, max_tokens, vary
        self._taught = taught

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; accelerate's loader does."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        view, index = divmod(index, len(self.ids))
        example, ids = self.examples[index], self.ids[index]
        if self._vary is not None:
            varied = self._vary(index, self.epoch, view)
            ids = encode(self._tokenizer, varied.text, varied.target, self._max_tokens)
        item = {"input_ids": ids, "sentiment": example.sentiment, "topic": example.topic}
        return item if self._taught is None else {**item, "taught": self._taught[index]}


def encode(
    tokenizer: PreTrainedTokenizerFast, text: str, target: str | None, max_tokens: int
) -> list[int]:
    """Ids of a text, or of the pair with its target, the text cut to what fits."""
    ids: list[int] = tokenizer(
        text,
        target,
        truncation=True if target is None else "only_first",
        max_length=max_tokens,
        return_token_type_ids=False,
    )["input_ids"]
    return ids


def collate(rows: Sequence[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """A batch, padded to its longest text."""
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), length), pad)
    mask = torch.zeros((len(rows), length), dtype=torch.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[at, : len(row["input_ids"])] = 1
    batch = {
        "input_ids": ids,
        "attention_mask": mask,
        "sentiment": torch.tensor([row["sentiment"] for row in rows]),
        "topic": torch.tensor([row["topic"] for row in rows]),
    }
    if "taught" in rows[0]:
        batch["taught"] = torch.from_numpy(np.stack([row["taught"] for row in rows]))
    return batch


class LengthBatches:
    """Indices of data in batches of like length, in another random order each epoch.

    A batch has ``size`` examples, and each of them ``views`` times: all once, then all again.
    Sorting within chunks of 50 batches saves most of the padding and keeps the order random. The
    order follows from the seed and the data's epoch, so a resumed run sees what it would have seen.
    """

    def __init__(self, data: Tokenized, size: int, seed: int, views: int = 1) -> None:
        self.lengths = [len(ids) for ids in data.ids]
        self.data, self.size, self.seed, self.views = data, size, seed, views

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(f"{self.seed}/{self.data.epoch}")
        order = list(range(len(self.lengths)))
        rng.shuffle(order)
        made = []
        for start in range(0, len(order), self.size * 50):
            chunk = sorted(order[start : start + self.size * 50], key=self.lengths.__getitem__)
            made += [chunk[i : i + self.size] for i in range(0, len(chunk), self.size)]
        rng.shuffle(made)
        seen = [view * len(self.lengths) for view in range(self.views)]
        return ([start + index for start in seen for index in batch] for batch in made)
