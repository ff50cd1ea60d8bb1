"""The student's model: a causal language model from disk with LoRA adapters on its last layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedi_engine.config import TrainConfig
from sedi_engine.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    import torch


def pick_device(setting: str) -> torch.device:
    """The device for auto, cpu or cuda; raises ConfigError for CUDA that is not there."""
    import torch

    if setting == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is cuda, but there is no CUDA device here.", "Set train.device to auto or cpu.")
    return torch.device("cpu" if setting == "cpu" or not torch.cuda.is_available() else "cuda")


def load_base(model: str | Path, device: torch.device) -> tuple[Any, Any]:
    """Model and tokenizer of a folder or Hugging Face name, every weight frozen; raises WeightsError.

    bfloat16 on a CUDA device that can, else float32. Only safetensors are read, and no code of the model's own.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        base = AutoModelForCausalLM.from_pretrained(
            str(model), dtype=torch.bfloat16 if half else torch.float32, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"The model to train, {str(model)!r}, cannot be loaded: {error}.",
            "Set train.model to embedded, a Hugging Face name or a folder with config, tokenizer and safetensors.",
        ) from error
    base.requires_grad_(False)
    return base.to(device), tokenizer


def plain_head(base: Any) -> torch.Tensor:
    """The weight (V, d) with which the model's logits are hidden states times its transpose; else WeightsError.

    Asked of the model itself with two tokens: a bias, a scale or a soft cap would make every signal wrong.
    """
    import torch

    weight = base.get_output_embeddings().weight
    ids = torch.tensor([[0, 1]], device=weight.device)
    base.eval()
    with torch.no_grad():
        hidden = base.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = base(input_ids=ids, use_cache=False).logits
    if not torch.allclose(logits.float(), (hidden @ weight.T).float(), rtol=1e-2, atol=1e-2):
        raise WeightsError(
            f"The head of {base.config.name_or_path!r} is not a plain linear map, so its loss cannot be taken apart.",
            "Set train.model to a model with a plain head, such as Llama, Qwen, Mistral or SmolLM.",
        )
    return weight


def with_adapters(base: Any, config: TrainConfig) -> Any:
    """The model with LoRA (alpha = 2·rank, no dropout) on every linear map of its last `lora_layers` layers.

    More layers than there are means all. No activation below the first adapted layer needs a gradient, so the
    layers there keep none.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    head = base.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    if not linear:
        raise WeightsError(
            f"{base.config.name_or_path!r} has no linear layers to adapt.", "Set train.model to another model."
        )
    count = base.config.num_hidden_layers
    adapted = None if config.lora_layers is None else range(max(0, count - config.lora_layers), count)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        lora_dropout=0.0,
        target_modules=sorted(linear),
        layers_to_transform=adapted and list(adapted),
    )
    return get_peft_model(base, lora)


def adapter_config(model: Any) -> dict[str, Any]:
    """What PEFT wants to find in adapter_config.json, in an order that does not change from run to run."""
    values = {**model.peft_config["default"].to_dict(), "inference_mode": True}
    return json.loads(json.dumps(values, default=sorted))


def peft_name(parameter: str) -> str:
    """The name under which PEFT stores an adapter's parameter: without the adapter's own name."""
    return parameter.replace(".default.", ".")
