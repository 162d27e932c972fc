"""Networks on torch, on a GPU or the CPU. Needs the extra ``train``; nothing else here may."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from model.backend import (
    Loaded,
    Logits,
    ModelError,
    about,
    is_export,
    read_description,
    sha256,
)
from model.batching import BUCKETS, Batch, buckets_for, plan
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeadClassifier

logger = logging.getLogger(__name__)

BUDGET = {"cuda": 32_768, "cpu": 2_048}
"""Tokens a batch: on a GPU enough to fill it, on a CPU what its caches like."""

LANGUAGES = ("en", "zh")
"""What the project's own texts are in, where ``model.json`` does not say."""

LONGEST = 512
"""Tokens read at once where nothing says less: beyond, time grows faster than insight."""

# Their first positions are those of padding, and no token's.
_PADDED_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text"}

Network = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Token ids and mask, both (batch, length), to logits of sentiment and topic."""


class TorchBackend:
    """Padded batches of like length.

    A score depends on its neighbours by rounding alone: less than 1e-4 of a probability in single
    precision. In bfloat16 it lies within a few hundredths of that.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        pad: int,
        budget: int,
        buckets: Sequence[int] = BUCKETS,
    ) -> None:
        self._network = network
        self._device = device
        self._pad = pad
        self._budget = budget
        self._buckets = buckets

    def logits(self, sequences: Sequence[Sequence[int]]) -> tuple[Logits, Logits]:
        """Sentiment (texts, 3) and topic (texts, topics) of token ids, in their order."""
        batches = plan([len(ids) for ids in sequences], self._budget, self._buckets)
        # Nothing is copied back until all runs are queued, so that the GPU never waits for Python.
        with torch.inference_mode():
            found = [self._network(*self._inputs(batch, sequences)) for batch in batches]
        back = np.argsort([index for batch in batches for index in batch.indices])
        sentiment, topic = (
            torch.cat(parts).float().cpu().numpy()[back] for parts in zip(*found, strict=True)
        )
        return sentiment, topic

    def _inputs(
        self, batch: Batch, sequences: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ids = np.full((len(batch.indices), batch.length), self._pad, np.int64)
        mask = np.zeros_like(ids)
        for row, index in enumerate(batch.indices):
            ids[row, : len(sequences[index])] = sequences[index]
            mask[row, : len(sequences[index])] = 1
        made = []
        for array in (ids, mask):
            tensor = torch.from_numpy(array)
            if self._device.type == "cuda":
                tensor = tensor.pin_memory()
            made.append(tensor.to(self._device, non_blocking=True))
        return made[0], made[1]


def load(folder: Path, device: str | None) -> Loaded:
    """The model of a folder that training wrote: configuration, safetensors and tokenizer.

    What a ``model.json`` in it says goes before what is found out here. Of an export the network is
    restored, whose labels are those of the export but for a few in a thousand.

    Raises:
        ModelError: a file is missing or does not fit.
    """
    if is_export(folder):
        return _load_export(folder, choose_device(device))
    for file in ("model.safetensors", "tokenizer.json"):
        if not (folder / file).is_file():
            raise ModelError(f"no model in {folder}: No such file: {file}")
    described = read_description(folder) if (folder / "model.json").exists() else {}
    place = choose_device(device)
    network = read(TwoHeadClassifier, str(folder), place)
    encoder = network.encoder.config
    described = {
        "name": folder.resolve().name,
        "version": sha256(folder / "model.safetensors")[:12],
        "languages": LANGUAGES,
        "max_tokens": min(trained_length(folder), positions(encoder)),
        **described,
        "sentiments": SENTIMENTS,
        "topics": TOPICS,
    }
    found = about(folder, described)
    return Loaded(
        found,
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        backend(network, encoder, place, found.max_tokens),
    )


def _load_export(folder: Path, device: torch.device) -> Loaded:
    from model.restore import restore

    described, network, tokenizer = restore(folder)
    network = network.eval().to(device, dtype_on(device))
    found = about(folder, described)
    return Loaded(
        found, tokenizer, backend(network, network.encoder.config, device, found.max_tokens)
    )


def backend(network: Network, config: Any, device: torch.device, max_tokens: int) -> TorchBackend:
    """A network on its device; the configuration says what it takes for padding."""
    pad = getattr(config, "pad_token_id", None) or 0
    budget = BUDGET.get(device.type, BUDGET["cpu"])
    if device.type == "cuda":
        network = compiled(network, device)
    return TorchBackend(network, device, pad, budget, buckets_for(max_tokens))


def compiled(network: Network, device: torch.device) -> Network:
    """The network as one program for all shapes; as it is where torch cannot make one.

    Takes up to a minute, once a start. By ``benchmarks.gpu`` it is faster than eager at every size,
    and faster than CUDA graphs at this backend's budget.
    """
    program: Network = torch.compile(network, dynamic=True)
    try:
        with torch.inference_mode():
            for rows in (2, 1):  # One row is a case of its own to torch.
                ids = torch.ones((rows, BUCKETS[0]), dtype=torch.int64, device=device)
                program(ids, torch.ones_like(ids))
    except Exception as error:  # No compiler, nowhere to load from, an encoder it cannot take.
        reason = str(error).strip().partition("\n")[0]
        logger.warning("the network runs as it is, not compiled, which is slower: %s", reason)
        return network
    return program


def read(kind: Any, name_or_dir: str, device: torch.device) -> Any:
    """A pretrained network, ready to score on the device.

    The attention is torch's scaled dot product wherever the architecture has it, which is the
    default of transformers.

    Raises:
        ModelError: it cannot be read, or some of its weights are not in the file.
    """
    with reading(name_or_dir):
        network, found = kind.from_pretrained(
            name_or_dir, use_safetensors=True, dtype=dtype_on(device), output_loading_info=True
        )
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"{name_or_dir} lacks weights: {', '.join(missing[:5])}")
    return network.eval().to(device)


def dtype_on(device: torch.device) -> torch.dtype:
    """What networks compute in: bfloat16 on CUDA, else single precision."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


@contextmanager
def reading(name_or_dir: str) -> Iterator[None]:
    """What may go wrong in reading a folder or from the hub, as a ``ModelError``."""
    try:
        yield
    except (ImportError, KeyError, OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise ModelError(f"no model in {name_or_dir}: {error}") from None


def choose_device(name: str | None) -> torch.device:
    """The device of this name; None is a GPU where there is one.

    Raises:
        ModelError: there is no such device.
    """
    cuda = torch.cuda.is_available()
    try:
        device = torch.device(name or ("cuda" if cuda else "cpu"))
    except RuntimeError:
        raise ModelError(f"{name!r} is no device of torch") from None
    if device.type == "cuda" and not cuda:
        raise ModelError("torch finds no CUDA device here")
    return device


def trained_length(folder: Path) -> int:
    """Tokens of the longest texts in training, as ``run.json`` has them."""
    try:
        return int(json.loads((folder / "run.json").read_text())["settings"]["max_tokens"])
    except (OSError, ValueError, KeyError, TypeError):
        return LONGEST


def positions(config: Any) -> int:
    """Tokens that an encoder of this configuration can tell apart by place, at most ``LONGEST``."""
    found = getattr(config, "max_position_embeddings", None) or LONGEST
    if config.model_type in _PADDED_POSITIONS:
        found -= config.pad_token_id + 1
    return int(min(found, LONGEST))
