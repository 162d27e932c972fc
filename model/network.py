"""One encoder, two heads: sentiment and topic over the masked mean of the token states.

A target is the second text of a pair: the sentiment of a pair is that towards the target.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from model.labels import SENTIMENTS, TOPICS

ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
"""What encoders call it. It is left out: masks for each head and pair of tokens cost a CPU too much
(docs/decisions/0012-training.md)."""


class TwoHeadConfig(PretrainedConfig):
    """Settings of the network; ``backbone`` is the encoder's own configuration as a dictionary."""

    model_type = "barograph"

    def __init__(
        self, backbone: dict[str, Any] | None = None, dropout: float = 0.1, **kwargs: Any
    ) -> None:
        self.backbone = backbone or {}
        self.dropout = dropout
        super().__init__(**kwargs)


class TwoHeadClassifier(PreTrainedModel):
    """Any Hugging Face encoder under two linear heads."""

    config_class = TwoHeadConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True
    # Flash and flex attention are the backbone's to have or not.
    supports_gradient_checkpointing = True

    def __init__(self, config: TwoHeadConfig) -> None:
        super().__init__(config)
        settings = dict(config.backbone)
        settings.update({name: 0.0 for name in ATTENTION_DROPOUT if name in settings})
        encoder = AutoConfig.for_model(settings.pop("model_type"), **settings)
        self.encoder = AutoModel.from_config(encoder, **_without_pooler(encoder.model_type))
        self.dropout = nn.Dropout(config.dropout)
        self.sentiment = nn.Linear(encoder.hidden_size, len(SENTIMENTS))
        self.topic = nn.Linear(encoder.hidden_size, len(TOPICS))
        self.post_init()

    @classmethod
    def from_backbone(cls, name_or_dir: str | Path, dropout: float = 0.1) -> TwoHeadClassifier:
        """New heads on a pretrained encoder (a hub name or a folder with safetensors).

        From a network of this kind it goes on with its heads as well.
        """
        config = AutoConfig.from_pretrained(str(name_or_dir))
        if isinstance(config, TwoHeadConfig):
            return cls.from_pretrained(str(name_or_dir), dropout=dropout)
        encoder = AutoModel.from_pretrained(
            str(name_or_dir), use_safetensors=True, **_without_pooler(config.model_type)
        )
        network = cls(TwoHeadConfig(backbone=encoder.config.to_dict(), dropout=dropout))
        network.encoder.load_state_dict(encoder.state_dict())
        return network

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's embeddings of tokens."""
        return self.encoder.get_input_embeddings()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both (batch, length), to logits (batch, 3) and (batch, 20)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        mean = self.dropout(mean)
        return self.sentiment(mean), self.topic(mean)


AutoConfig.register(TwoHeadConfig.model_type, TwoHeadConfig)


def _without_pooler(model_type: str) -> dict[str, bool]:
    """BERT and its kin have a pooler by default, which would be trained for nothing."""
    has_one = {"bert", "roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet"}
    return {"add_pooling_layer": False} if model_type in has_one else {}
