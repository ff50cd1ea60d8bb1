"""What the models of a run ask of those who use them, one sentence each; nothing here is legal advice."""

from __future__ import annotations

from urllib.parse import urlsplit

from sedi_engine.config import RunConfig

LLAMA = (
    "Llama 3 is gated: accept Meta's licence on its model page first. What is trained from it, an adapter too, "
    "carries “Llama 3” in its name and the licence's notice."
)
OPENAI = (
    "OpenAI's terms limit the use of its models' outputs to train models that compete with OpenAI: read them before "
    "you train on, share or sell what comes of this."
)
EMBEDDED = "SmolLM2 and all-MiniLM-L6-v2 are under the Apache-2.0 licence."


def sentences(config: RunConfig) -> tuple[str, ...]:
    """The sentences that concern the generator, its outputs and the trained model of these settings."""
    generator = config.generator
    host = (urlsplit(generator.base_url or "").hostname or "") if generator.kind == "endpoint" else ""
    models = [config.train.model, generator.model, generator.output_model or ""]
    said = (
        (any("llama-3" in name.lower() or "llama3" in name.lower() for name in models), LLAMA),
        (host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com")), OPENAI),
        ("embedded" in (generator.kind, config.train.model), EMBEDDED),
    )
    return tuple(text for concerned, text in said if concerned)
