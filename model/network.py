"""One encoder, two heads: sentiment and topic over the masked mean of the token states."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from model.labels import SENTIMENTS, TOPICS


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

    def __init__(self, config: TwoHeadConfig) -> None:
        super().__init__(config)
        settings = dict(config.backbone)
        encoder = AutoConfig.for_model(settings.pop("model_type"), **settings)
        self.encoder = AutoModel.from_config(encoder)
        self.dropout = nn.Dropout(config.dropout)
        self.sentiment = nn.Linear(encoder.hidden_size, len(SENTIMENTS))
        self.topic = nn.Linear(encoder.hidden_size, len(TOPICS))
        self.post_init()

    @classmethod
    def from_backbone(cls, name_or_dir: str, dropout: float = 0.1) -> TwoHeadClassifier:
        """New heads on a pretrained encoder (a hub name or a folder with safetensors)."""
        encoder = AutoModel.from_pretrained(name_or_dir, use_safetensors=True)
        network = cls(TwoHeadConfig(backbone=encoder.config.to_dict(), dropout=dropout))
        network.encoder.load_state_dict(encoder.state_dict())
        return network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both (batch, length), to logits (batch, 3) and (batch, 20)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        mean = self.dropout(mean)
        return self.sentiment(mean), self.topic(mean)
