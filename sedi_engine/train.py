"""The LoRA fine-tune: one optimiser step a batch, in the batch's order, with what each step shows.

A batch's loss is Σ NLL ÷ Σ response tokens of the whole batch, whatever the micro-batches; the gradient norm is
read before clipping and covers the trained weights only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import psutil
import torch
from torch import Tensor

from sedi_engine import checkpoint
from sedi_engine.chat import ChatFormat, EncodedExample, Example
from sedi_engine.config import RunConfig, TrainConfig
from sedi_engine.errors import TrainingError
from sedi_engine.lora import adapter_config, load_base, peft_name, pick_device, plain_head, with_adapters
from sedi_engine.machine import DeviceClock
from sedi_engine.out_of_memory import is_out_of_memory
from sedi_engine.signals import ExampleLoss, example_loss
from store.records import ExampleSignal

Result = TypeVar("Result")


@dataclass(frozen=True)
class StepResult:
    """One optimiser step; `tokens_per_s` counts prompt and response, `memory_mb` is in 10⁶ bytes.

    `examples` follow the batch's order and leave out those with no response token within the length allowed.
    """

    loss: float
    grad_norm: float
    clipped: bool
    lr: float
    response_tokens: int
    seconds: float
    tokens_per_s: float
    memory_mb: float
    micro_batch: int
    ifd_seconds: float | None
    device_busy: float | None
    examples: tuple[ExampleSignal, ...]


def learning_rate(step: int, config: RunConfig) -> float:
    """The rate of online step `step` (from 0): a linear warm-up that ends inside the first window, then constant."""
    warmup = min(config.train.warmup_steps, config.compose.batches_per_window - 1)
    return config.train.learning_rate * min(1.0, (step + 1) / (warmup + 1))


class Student:
    """A causal language model with LoRA adapters, an AdamW without decay, and a seeded start.

    `model` is a folder or a Hugging Face name. On CUDA it runs in bfloat16 where the device can, on the CPU in
    float32, where the same seed and batches give the same bits. Threads are the caller's to set. Raises
    WeightsError when the model cannot be loaded or its head is not a plain linear map, ConfigError for CUDA that
    is not there.
    """

    def __init__(self, model: str | Path, config: TrainConfig, seed: int) -> None:
        self._config = config
        self._device = pick_device(config.device)
        base, tokenizer = load_base(model, self._device)
        self._format = ChatFormat(tokenizer, config.max_length)
        self._head, self._body = plain_head(base), base.base_model
        torch.manual_seed(seed)
        self._model = with_adapters(base, config)
        self._trained = {peft_name(name): p for name, p in self._model.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(self._trained.values(), lr=config.learning_rate, weight_decay=0.0)
        self.micro_batch = config.micro_batch
        self.steps = 0

    @property
    def device_name(self) -> str:
        """What trains: the GPU's name, or cpu."""
        return torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"

    @property
    def precision(self) -> str:
        """Number format of the frozen weights, for example float32; adapters are float32."""
        return str(self._head.dtype).removeprefix("torch.")

    @property
    def trained_parameters(self) -> int:
        """How many weights the adapters hold."""
        return sum(parameter.numel() for parameter in self._trained.values())

    def step(self, examples: Sequence[Example], lr: float) -> StepResult:
        """Take one optimiser step on a batch.

        A batch without any response token leaves the weights alone and has loss and norm 0. Raises TrainingError
        before the weights change when loss or norm is not finite, or memory ends at a micro-batch of 1.
        """
        started, busy = time.perf_counter(), DeviceClock(self._device)
        batch = self._encode(examples)
        tokens = sum(example.response_tokens for example in batch)
        self._model.train()
        alone = self._answers_alone(batch) if self._config.ifd else None
        ifd_seconds = None if alone is None else time.perf_counter() - started
        self._begin_memory()
        signals = self._within_memory(lambda: self._backward(batch, tokens))
        if alone is not None:
            signals = [_with_ifd(*pair) for pair in zip(signals, alone, strict=True)]
        loss = sum(signal.loss * signal.response_tokens for signal in signals) / max(tokens, 1)
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained.values(), self._config.clip_norm))
        memory_mb = self._memory_mb()
        self._require_finite(loss, norm, lr)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        seconds = time.perf_counter() - started
        return StepResult(
            loss=loss,
            grad_norm=norm,
            clipped=norm > self._config.clip_norm,
            lr=lr,
            response_tokens=tokens,
            seconds=seconds,
            tokens_per_s=sum(len(example.ids) for example in batch) / seconds,
            memory_mb=memory_mb,
            micro_batch=self.micro_batch,
            ifd_seconds=ifd_seconds,
            device_busy=busy.share(),
            examples=tuple(signals),
        )

    def heldout_loss(self, examples: Sequence[Example]) -> float:
        """Σ NLL ÷ Σ response tokens without learning; NaN when no example has a response token."""
        batch = self._encode(examples)
        tokens = sum(example.response_tokens for example in batch)
        self._model.eval()
        losses = self._within_memory(lambda: self._losses(batch))
        nll = sum(loss * one.response_tokens for loss, one in zip(losses, batch, strict=True))
        return nll / tokens if tokens else math.nan

    def save(self, folder: Path | str) -> str:
        """Write a checkpoint that PEFT can read as an adapter too; returns its sha256.

        It holds adapters, optimiser state, random states, step and micro-batch. A folder already there is
        replaced. Raises StudioError when the disk is full or fails.
        """
        return checkpoint.write(
            Path(folder),
            {
                "adapter_model.safetensors": self._trained,
                "adapter_config.json": adapter_config(self._model),
                "optimizer.safetensors": self._optimizer_tensors(),
                "random.safetensors": checkpoint.random_states(),
                "state.json": {"format": 1, "steps": self.steps, "micro_batch": self.micro_batch},
            },
        )

    def load(self, folder: Path | str, sha256: str) -> None:
        """Go on from a checkpoint of the same model and adapters: on the CPU bit for bit as if never stopped.

        Raises TrainingError when the folder is missing, was changed, or belongs to other adapters.
        """
        folder = Path(folder)
        files = checkpoint.read(folder, sha256)
        adapters, state = files["adapter_model.safetensors"], files["state.json"]
        if _shapes(adapters) != _shapes(self._trained):
            raise TrainingError(
                f"The checkpoint {folder} belongs to another model or other adapters.",
                "Resume with the train.model, train.lora_rank and train.lora_layers that wrote it.",
            )
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(adapters[name])
        self._restore_optimizer(files["optimizer.safetensors"])
        checkpoint.restore_random_states(files["random.safetensors"])
        self.steps, self.micro_batch = state["steps"], state["micro_batch"]

    def _encode(self, examples: Sequence[Example]) -> list[EncodedExample]:
        encoded = (self._format.encode(example) for example in examples)
        return [example for example in encoded if example.response_tokens]

    def _backward(self, batch: list[EncodedExample], tokens: int) -> list[ExampleSignal]:
        """Gradients of the whole batch's loss, from nothing; the signals in the batch's order."""
        self._optimizer.zero_grad(set_to_none=True)
        signals: dict[int, ExampleSignal] = {}
        for indices in self._micro_batches(batch):
            members = [batch[index] for index in indices]
            losses = self._forward(members)
            (torch.stack([loss.nll for loss in losses]).sum() / tokens).backward()
            signals.update(zip(indices, map(_signal, members, losses), strict=True))
        return [signals[index] for index in range(len(batch))]

    def _answers_alone(self, batch: list[EncodedExample]) -> list[float]:
        """Mean NLL of each answer after its prompt's last token only, so that both means of IFD are over its tokens.

        It comes before the gradients: where memory ends, they are thrown away.
        """
        answers = [replace(one, ids=one.ids[one.prompt_tokens - 1 :], prompt_tokens=1) for one in batch]
        return self._within_memory(lambda: self._losses(answers))

    @torch.no_grad()
    def _losses(self, batch: list[EncodedExample]) -> list[float]:
        """Mean NLL of each example, in their order, without learning."""
        found = {}
        for indices in self._micro_batches(batch):
            found.update(zip(indices, self._forward([batch[index] for index in indices]), strict=True))
        return [float(found[index].loss) for index in range(len(batch))]

    def _micro_batches(self, batch: list[EncodedExample]) -> Iterator[list[int]]:
        """Indices of examples of like length, so that little is padded."""
        by_length = sorted(range(len(batch)), key=lambda index: (len(batch[index].ids), index))
        for first in range(0, len(batch), self.micro_batch):
            yield by_length[first : first + self.micro_batch]

    def _forward(self, members: list[EncodedExample]) -> list[ExampleLoss]:
        """Only hidden states that predict a response token go through the head."""
        longest = max(len(member.ids) for member in members)
        rows = [(*member.ids, *[0] * (longest - len(member.ids))) for member in members]
        ids = torch.tensor(rows, device=self._device)
        lengths = torch.tensor([len(member.ids) for member in members], device=self._device)
        mask = (torch.arange(longest, device=self._device) < lengths[:, None]).long()
        hidden = self._body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return [
            example_loss(
                hidden[row, member.prompt_tokens - 1 : len(member.ids) - 1],
                self._head,
                ids[row, member.prompt_tokens : len(member.ids)],
            )
            for row, member in enumerate(members)
        ]

    def _within_memory(self, work: Callable[[], Result]) -> Result:
        """Do `work`, from the start with half the micro-batch each time that memory ends."""
        while True:
            try:
                return work()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            self._free_memory()
            if self.micro_batch == 1:
                raise TrainingError(
                    f"Memory ran out in step {self.steps} with one example at a time: {reason}",
                    "Lower train.max_length or train.lora_layers, or take a smaller train.model; then resume.",
                )
            self.micro_batch //= 2

    def _free_memory(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _require_finite(self, loss: float, norm: float, lr: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self._optimizer.zero_grad(set_to_none=True)
        raise TrainingError(
            f"Step {self.steps} has loss {loss:.4g} and gradient norm {norm:.4g} at learning rate {lr:.2g}; both "
            "should be finite. The weights are as they were before it.",
            "Lower train.learning_rate, look at this step's batch for odd examples, and start again from there.",
        )

    def _begin_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    def _memory_mb(self) -> float:
        """Peak of the step on CUDA; on a CPU what the process holds, gradients included."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 1e6
        return psutil.Process().memory_info().rss / 1e6

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": value
            for name, parameter in self._trained.items()
            for key, value in self._optimizer.state[parameter].items()
        }

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        self._optimizer.state.clear()
        for path, tensor in tensors.items():
            name, _, key = path.rpartition("/")
            # AdamW counts its steps on the CPU, wherever the parameter lies.
            device = "cpu" if key == "step" else self._device
            self._optimizer.state[self._trained[name]][key] = tensor.to(device)


def _signal(example: EncodedExample, loss: ExampleLoss) -> ExampleSignal:
    return ExampleSignal(
        candidate_id=example.candidate_id,
        loss=float(loss.loss),
        el2n=float(loss.el2n),
        grand=float(loss.grand),
        response_tokens=example.response_tokens,
    )


def _with_ifd(signal: ExampleSignal, alone: float) -> ExampleSignal:
    """With IFD (Li et al., 2024): CE(answer | question) ÷ CE(answer); without where the answer alone costs nothing."""
    return signal.model_copy(update={"ifd": signal.loss / alone if alone else None})


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
