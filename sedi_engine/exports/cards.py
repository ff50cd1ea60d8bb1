"""Cards: what a data set or an adapter is, how it was made, and what its licences ask. No sample is quoted in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sedi_engine.config import RunConfig
from sedi_engine.licences import sentences
from store.selection import Selection

SMOL_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
HEAD = """---
configs:
- config_name: default
  default: true
  data_files:
  - split: train
    path: data/train.parquet
- config_name: messages
  data_files:
  - split: train
    path: messages/train.parquet
size_categories:
- {size}
tags:
- instruction-tuning
- synthetic
---
"""


def data_set(summary: Mapping[str, Any], config: RunConfig, selection: Selection, rows: int, kind: str) -> str:
    """The card of an exported data set in Markdown, with the head that `datasets` reads where it is such a folder."""
    size = next((name for most, name in SIZES if rows < most), "n>1M")
    dropped = ", ".join(f"{count} {reason}" for reason, count in summary["dropped"].items()) or "none"
    flagged = ", ".join(f"{count} {flag}" for flag, count in summary["flags"].items()) or "none"
    lines = [
        f"# Instruction data of run {summary['run_id']}",
        "",
        f"{rows:,} rows: {_what(selection)}. Written by a language model and not checked by a person unless the "
        "lineage says so; it can be wrong, biased or unsafe.",
        "",
        "## How it was made",
        "",
        f"- Generator: {_generator(config)}",
        f"- Filter: heuristics, then dropped above ROUGE-L {config.filter.threshold:g} (tokenizer "
        f"{config.filter.tokenizer})",
        f"- Counts: {summary['asked']:,} asked, {summary['parsed']:,} parsed, {summary['kept']:,} kept; dropped: "
        f"{dropped}",
        f"- Flagged for a look (words and patterns only): {flagged}",
        f"- Iterations: {summary['iteration']}, composer {config.compose.composer}, feedback {config.feedback.mode}",
        f"- Settings: preset {_plain(config.preset)}, random seed {summary['random_seed']}, fingerprint "
        f"{summary['fingerprint']}",
        "- Made with SeDi Studio, a reconstruction of SeDi-Instruct (arXiv 2502.04774); the data are not the paper's.",
        "",
        "## Licences",
        "",
        *(f"- {_plain(text)}" for text in sentences(config)),
        "- The rows themselves carry no licence of ours; what their use is subject to follows from the above.",
        "",
    ]
    return (HEAD.format(size=size) if kind == "hf" else "") + "\n".join(lines)


def adapter(summary: Mapping[str, Any], config: RunConfig, base: str) -> str:
    """The card of an exported LoRA adapter."""
    trained = config.train
    llama = "llama-3" in base.lower() or "llama3" in base.lower()
    title = f"{'Llama 3 ' if llama else ''}LoRA adapter of run {summary['run_id']}"
    lines = [
        "---",
        f"base_model: {base if re.fullmatch(r'[A-Za-z0-9._/-]+', base) else 'unknown'}",
        "library_name: peft",
        "tags:",
        "- lora",
        "---",
        f"# {title}",
        "",
        f"Trained on {_plain(base)} for {summary['steps']} steps of {config.compose.batch_size} examples "
        f"(rank {trained.lora_rank}, learning rate {trained.learning_rate:g}, {summary['precision'] or 'unknown'} on "
        f"{_plain(summary['device'] or 'unknown')}), on {summary['kept']:,} examples that a model wrote.",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{_plain(base)}"), "THIS_FOLDER")',
        "```",
        "",
        *(f"- {_plain(text)}" for text in sentences(config)),
        "",
    ]
    return "\n".join(lines)


def base_name(config: RunConfig) -> str:
    """The name under which others know the trained model."""
    return SMOL_NAME if config.train.model == "embedded" else config.train.model


def _what(selection: Selection) -> str:
    named = {
        "kept": "what may be exported (kept, less rejected, plus rescued)",
        "candidates": "every candidate, dropped ones too",
        "seeds": "the seeds of the run",
    }[selection.what]
    filtered = selection.model_dump(exclude={"run_id", "what"}, exclude_defaults=True)
    return f"{named}, filtered by {', '.join(sorted(filtered))}" if filtered else named


def _generator(config: RunConfig) -> str:
    generator = config.generator
    if generator.kind != "endpoint":
        return f"{generator.kind}, {_plain(generator.model)}" if generator.kind == "embedded" else "recorded candidates"
    host = urlsplit(generator.base_url or "").hostname or "unknown"
    second = f", outputs by {_plain(generator.output_model)}" if generator.output_model else ""
    return f"{_plain(generator.model)} at {_plain(host)}{second}, prompts {generator.prompt_form}"


def _plain(text: str) -> str:
    """A name on one line in which Markdown finds nothing to draw."""
    return re.sub(r"[`*{}\[\]<>#|!\\]", " ", " ".join(text.split()))
