"""transformers' training loop with this network's loss, batches, and running mean of weights."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

from model.encoding import LengthBatches, collate
from model.loss import disagreement, loss_of, measure, report, sentiment_weights
from model.network import TwoHeadClassifier

if TYPE_CHECKING:
    from model.train import Settings

AVERAGE = "average.pt"
RANKS = "ranks.pt"


class TwoHeadTrainer(Trainer):
    """transformers' loop with this network's loss, batches, and measures."""

    optimizer: Any
    control: Any

    def __init__(self, *args: Any, settings: Settings, pad: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings, self.pad = settings, pad
        self.class_weights = sentiment_weights(self.train_dataset.examples)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The dev part's figures, an entry an epoch, those before an interruption among them."""
        return [
            {name.removeprefix("eval_"): value for name, value in entry.items() if name != "step"}
            for entry in self.state.log_history
            if "eval_score" in entry
        ]

    def get_train_dataloader(self) -> DataLoader[Any]:
        data, settings = self.train_dataset, self.settings
        loader: DataLoader[Any] = DataLoader(
            data,
            batch_sampler=LengthBatches(
                data, settings.batch_size, settings.seed, views=2 if settings.consistency else 1
            ),
            collate_fn=partial(collate, pad=self.pad),
            num_workers=self.args.dataloader_num_workers,
            persistent_workers=False,  # They would stay in the epoch that they started in.
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW; norms and biases are not decayed, and the new heads learn faster."""
        if self.optimizer is None:
            rate, decay = self.settings.learning_rate, self.settings.weight_decay
            groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    is_head = "encoder." not in name
                    key = (
                        self.settings.head_learning_rate if is_head else rate,
                        decay if parameter.ndim > 1 else 0.0,
                    )
                    groups.setdefault(key, []).append(parameter)
            self.optimizer = torch.optim.AdamW(
                [{"params": p, "lr": lr, "weight_decay": wd} for (lr, wd), p in groups.items()],
                fused=True,
            )
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        logits = model(inputs["input_ids"], inputs["attention_mask"])
        loss = loss_of(
            logits,
            inputs["sentiment"],
            inputs["topic"],
            self.class_weights,
            self.settings.label_smoothing,
            inputs.get("taught"),
            self.settings.soft,
        )
        if self.settings.consistency:
            loss = loss + self.settings.consistency * disagreement(logits)
        if self.settings.method == "adalora":
            loss = loss + _orthogonality(self.accelerator.unwrap_model(model))
        return (loss, logits) if return_outputs else loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the averaged weights on the dev part, after each epoch.

        One process measures and all go by its figures, so that they stop after the same epoch.
        """
        found: dict[str, float] = {}
        if self.is_world_process_zero():
            network = averaged(self)
            figures = measure(network, self.eval_dataset, self.pad)
            print(f"\nepoch {self.state.epoch}\n{report(network, self.eval_dataset, self.pad)}")
            found = {f"eval_{name}": value for name, value in figures.items()}
            found["eval_score"] = float(np.mean([v for n, v in figures.items() if "macro_f1" in n]))
        [found] = broadcast_object_list([found])
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found


class Average(TrainerCallback):
    """A running mean of the weights, which does better than the last ones; kept in checkpoints."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, torch.Tensor] = {}
        self.steps = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        saved = newest_checkpoint(Path(args.output_dir))
        if state.global_step and saved is not None:
            kept = torch.load(saved / AVERAGE, weights_only=True)
            self.steps = int(kept.pop("steps"))
            self.weights = kept

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.steps += 1
        # Short at first, so that the beginning is soon forgotten.
        decay = min(self.decay, self.steps / (self.steps + 9))
        new = {
            name: parameter.detach().float()
            for name, parameter in kwargs["model"].named_parameters()
            if parameter.requires_grad
        }
        if not self.weights:
            self.weights = {name: parameter.clone() for name, parameter in new.items()}
            return
        # All in one call: one at a time takes a GPU longer than the step itself.
        torch._foreach_lerp_(list(self.weights.values()), list(new.values()), 1 - decay)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # A checkpoint of the last step lacks the evaluation that comes after it.
        control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not args.should_save:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        part = folder / f"{AVERAGE}.part"
        torch.save({**self.weights, "steps": torch.tensor(self.steps)}, part)
        part.replace(folder / AVERAGE)


class StopAfter(TrainerCallback):
    """Ends a run early, in the middle of its schedule, as the end of one's time on a machine does.

    What is there then is kept, and another run may go on from it.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= self.steps:
            control.should_training_stop = True


class Allocate(TrainerCallback):
    """Shares out AdaLoRA's ranks after each step, which peft leaves to the loop.

    What is shared out stays here, and in a file of its own in checkpoints: by the adapter's
    configuration, where peft puts it, a checkpoint would be loaded with smaller matrices.
    """

    def __init__(self) -> None:
        self.pattern: dict[str, list[bool]] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        saved = newest_checkpoint(Path(args.output_dir))
        if state.global_step and saved is not None:
            kept = torch.load(saved / RANKS, weights_only=True)
            self.pattern = kept.pop("pattern")
            vars(kwargs["model"].base_model.rankallocator).update(kept)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        config = kwargs["model"].active_peft_config
        config.rank_pattern = self.pattern
        kwargs["model"].base_model.update_and_allocate(state.global_step)
        self.pattern, config.rank_pattern = config.rank_pattern, None

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not args.should_save:
            return
        allocator = kwargs["model"].base_model.rankallocator
        importance = {n: getattr(allocator, n) for n in ("ipt", "exp_avg_ipt", "exp_avg_unc")}
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        torch.save({**importance, "pattern": self.pattern}, folder / RANKS)


def _orthogonality(network: Any) -> torch.Tensor:
    """AdaLoRA's term that keeps the ranks apart; peft adds it only to a loss of its own."""
    found = [
        (p @ p.T if "lora_A" in name else p.T @ p)
        for name, p in network.named_parameters()
        if "lora_A" in name or "lora_B" in name
    ]
    apart = [(g - torch.eye(len(g), device=g.device)).norm() for g in found]
    return network.active_peft_config.orth_reg_weight * torch.stack(apart).mean()


def averaged(trainer: Trainer) -> torch.nn.Module:
    """The network with the averaged weights; the trained one is left as it is."""
    network: Any = trainer.accelerator.unwrap_model(trainer.model)
    average = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Average))
    if not average.weights:
        return network
    other = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name in average.weights:
                parameter.copy_(average.weights[name])
    return other


def is_whole(checkpoint: Path) -> bool:
    """Whether it was written to its end: the running mean comes last."""
    return (checkpoint / AVERAGE).exists()


def newest_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint of a run, or None."""
    found = filter(is_whole, folder.glob("checkpoint-*"))
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def adapted(network: TwoHeadClassifier, settings: Settings, steps: int) -> Any:
    """The network as the method trains it: whole, or with low-rank adapters in the encoder.

    LoRA: Hu et al. (arXiv 2106.09685); AdaLoRA: Zhang et al. (arXiv 2303.10512).
    """
    if settings.method == "full":
        embeddings = network.get_input_embeddings()
        embeddings.requires_grad_(settings.train_embeddings)
        return network
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    linear = [
        name
        for name, module in network.encoder.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    shared: dict[str, Any] = {
        "target_modules": [f"encoder.{name}" for name in linear],
        "modules_to_save": ["sentiment", "topic"],
        "lora_alpha": 2 * settings.lora_rank,
        "lora_dropout": settings.dropout,
    }
    if settings.method == "lora":
        return get_peft_model(network, LoraConfig(r=settings.lora_rank, **shared))
    return get_peft_model(
        network,
        AdaLoraConfig(
            init_r=settings.lora_rank * 3 // 2,
            target_r=settings.lora_rank,
            total_step=max(steps, 10),
            tinit=steps // 10,
            tfinal=steps // 3,
            **shared,
        ),
    )
