"""The one configuration: it draws the form, reads the command line and is stored with every run.

Every field carries its help text and its limits. `RunConfig.load` starts from a preset and lays dotted
`key=value` settings over it; what is not a field is refused with the nearest name that is.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from sedi_engine import presets
from sedi_engine.errors import ConfigError
from store.records import CallStage

SAID = {
    "Input should be ": "",
    "Value error, ": "",
    "String should match": "text of the form",
    "String should have": "text with",
}
Prices = tuple[float | None, float | None]

LONGEST_TEXT = 2048
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SHOWN_VALUE = 120
MOST = 10**12  # calls and tokens: far more than any run, and a number that a browser holds exactly

Price = Annotated[float, Field(ge=0)]
TemplateName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,48}\.v[0-9]{1,6}$")]


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if isinstance(value, str) and (len(value) > LONGEST_TEXT or UNPRINTABLE.search(value)):
            raise ValueError(f"text of at most {LONGEST_TEXT} characters without line breaks or control characters")
        return value


class GeneratorConfig(Section):
    """Where candidates come from."""

    kind: Literal["embedded", "endpoint", "stream"] = Field(
        "embedded",
        description="embedded: a small model on this machine; endpoint: an OpenAI-compatible server; "
        "stream: recorded candidates from a JSONL file.",
    )
    base_url: str | None = Field(None, description="Address of the endpoint, with /v1.")
    model: str = Field("SmolLM2-135M-Instruct", min_length=1, description="Model name sent with every call.")
    api_key_env: str | None = Field(
        None, description="Name of the environment variable that holds the endpoint's key; never the key."
    )
    api: Literal["chat", "completion"] = Field(
        "chat", description="chat: messages; completion: one text that a base model goes on with."
    )
    mode: Literal["live", "batch"] = Field(
        "live",
        description="live: calls are answered at once; batch: the provider's batch API, at a lower price, "
        "answered within a day.",
    )
    reply_form: Literal["auto", "text"] = Field(
        "auto",
        description="auto: tasks are asked for as JSON, by a json_schema where the endpoint takes one; "
        "text: as a numbered list.",
    )
    prompt_form: Literal["staged", "whole_task"] = Field(
        "staged",
        description="staged: a list of instructions, then an output for each that passed; "
        "whole_task: instruction, input and output in one call.",
    )
    output_model: str | None = Field(
        None, description="Model of the second stage, the outputs, on the same endpoint; empty: the same model."
    )
    max_concurrency: int = Field(
        4, ge=1, le=256, description="Calls in flight at once, at most; an endpoint begins with fewer and earns more."
    )
    timeout_s: float = Field(120.0, gt=0, le=3600, description="Seconds until a call counts as failed.")
    max_attempts: int = Field(3, ge=1, le=10, description="Times one call is sent before it is put behind the rest.")
    price_in_usd_per_mtok: Price | None = Field(
        None, description="USD per million prompt tokens; empty: from the price file."
    )
    price_out_usd_per_mtok: Price | None = Field(
        None, description="USD per million completion tokens; empty: from the price file."
    )
    output_price_in_usd_per_mtok: Price | None = Field(
        None, description="The second stage's USD per million prompt tokens; empty: from the price file."
    )
    output_price_out_usd_per_mtok: Price | None = Field(
        None, description="The second stage's USD per million completion tokens; empty: from the price file."
    )
    batch_price_share: float = Field(
        0.5, ge=0, le=1, description="What a call of the batch API costs, as a share of the live price."
    )
    stream_path: str | None = Field(None, description="JSONL with instruction, output, optional input.")
    tasks_per_call: int = Field(8, ge=1, le=64, description="Tasks asked for in one call (n).")
    temperature: float = Field(0.8, ge=0, le=2, description="Sampling temperature of instructions.")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus sampling mass of instructions.")
    presence_penalty: float = Field(0.5, ge=-2, le=2, description="Presence penalty of a list of instructions.")
    output_temperature: float = Field(0.3, ge=0, le=2, description="Sampling temperature of outputs.")
    max_instruction_tokens: int = Field(512, ge=16, le=32768, description="Longest reply to a list prompt.")
    max_output_tokens: int = Field(224, ge=8, le=32768, description="Longest output of one task.")


class SeedsConfig(Section):
    """Which seeds a run starts from."""

    active: Literal["all"] | Annotated[int, Field(ge=1, le=MOST)] = Field(
        "all",
        description="Size of the starting seed set: all accepted seeds, or so many drawn by random_seed.",
    )


class DemosConfig(Section):
    """What a prompt shows."""

    count: int = Field(3, ge=1, le=32, description="Seeds shown in a prompt (k).")
    from_pool: int = Field(0, ge=0, le=32, description="Machine-made examples shown on top of the seeds.")


class PromptsConfig(Section):
    """Which templates the prompts are made from: a name with its version, built in or saved in the data folder."""

    instructions: TemplateName | None = Field(
        None, description="Template of a list of instructions, such as instruction_list_json.v1; empty: built in."
    )
    output: TemplateName | None = Field(None, description="Template of one task's output; empty: built in.")
    whole_task: TemplateName | None = Field(None, description="Template of whole tasks; empty: built in.")


class FilterConfig(Section):
    """The relaxed ROUGE-L filter."""

    threshold: float = Field(
        0.85, gt=0, le=1, description="Drop when the largest ROUGE-L F1 is above this; 1 keeps all."
    )
    tokenizer: Literal["rouge", "unicode"] = Field(
        "rouge",
        description="rouge: [a-z0-9]+ as rouge-score does; unicode: words of any script, a CJK character each.",
    )


class ComposeConfig(Section):
    """How a window becomes batches."""

    composer: Literal["deal", "random"] = Field(
        "deal", description="deal: clusters dealt evenly over the batches; random: the control."
    )
    batch_size: int = Field(8, ge=1, le=4096, description="Examples in a batch (B).")
    batches_per_window: int = Field(10, ge=1, le=1000, description="Batches between two feedbacks (E).")


class TrainConfig(Section):
    """The LoRA fine-tune that the batches go through."""

    model: str = Field(
        "embedded",
        min_length=1,
        description="embedded, a Hugging Face name, a local path, or none (only fill windows).",
    )
    heldout: str = Field(
        "built_in",
        min_length=1,
        max_length=64,
        description="Held-out tasks: built_in (our 64), or the id of an import kept as held-out.",
    )
    learning_rate: float = Field(2e-4, gt=0, le=1, description="LoRA learning rate after warm-up.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA when it is there.")
    lora_rank: int = Field(8, ge=1, le=256, description="Rank of the adapters.")
    lora_layers: int | None = Field(
        8, ge=1, le=1000, description="Adapt only the last so many layers; empty adapts all."
    )
    max_length: int = Field(512, ge=32, le=32768, description="Longest training example in tokens.")
    micro_batch: int = Field(4, ge=1, le=4096, description="Examples in one forward pass; halved if memory ends.")
    clip_norm: float = Field(1.0, gt=0, description="Largest gradient norm that is applied.")
    warmup_steps: int = Field(2, ge=0, le=1000, description="Steps of linear warm-up inside the first window.")
    ifd: bool = Field(
        False, description="Measure IFD of each example, by a second pass over its answer alone; its time is kept."
    )


class FeedbackConfig(Section):
    """How training changes the seeds."""

    mode: Literal["auto", "review", "off"] = Field(
        "auto", description="auto applies proposals at once; review waits for people; off proposes nothing."
    )
    batch_signal: Literal["grad_norm", "grad_norm_detrended", "loss"] = Field(
        "grad_norm", description="What makes a batch the attractive one."
    )
    signal: Literal["loss", "el2n", "grand", "ifd"] = Field(
        "loss", description="Per-example signal that ranks promotions and credits seeds."
    )
    promote: int = Field(4, ge=0, le=64, description="Promotions and evictions at most per window (m).")
    review_timeout_minutes: float | None = Field(
        None, gt=0, description="In review: after so many minutes the rule decides; empty waits for ever."
    )


class BudgetConfig(Section):
    """Caps; each reserves before a call is sent, so none is overshot."""

    max_usd: float | None = Field(None, ge=0, description="Money a run may spend, in USD.")
    max_tokens: int | None = Field(None, ge=0, le=MOST, description="Tokens a run may use, prompt and completion.")
    max_calls: int | None = Field(None, ge=0, le=MOST, description="Calls a run may send; retries are not counted.")
    max_minutes: float | None = Field(None, gt=0, description="Minutes a run may work; pauses are not counted.")


class RunConfig(Section):
    """Everything that decides what a run does."""

    preset: str = Field("custom", description="The preset these settings started from.")
    generator: GeneratorConfig = GeneratorConfig()
    seeds: SeedsConfig = SeedsConfig()
    demos: DemosConfig = DemosConfig()
    prompts: PromptsConfig = PromptsConfig()
    filter: FilterConfig = FilterConfig()
    compose: ComposeConfig = ComposeConfig()
    train: TrainConfig = TrainConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    budget: BudgetConfig = BudgetConfig()
    iterations: int = Field(1, ge=1, le=10_000, description="Windows to fill and train.")
    target_kept: int | None = Field(None, ge=1, le=MOST, description="Stop once so many examples are kept.")
    random_seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of every random choice.")

    @property
    def window(self) -> int:
        """Examples in a window: W = E·B."""
        return self.compose.batch_size * self.compose.batches_per_window

    def prices(self, stage: CallStage) -> Prices:
        """USD per million prompt and completion tokens of a stage's calls; embedded and stream cost nothing.

        None is an unknown price: `costs.priced` fills in what the price file knows before a run starts.
        """
        generator = self.generator
        if generator.kind != "endpoint":
            return 0.0, 0.0
        prices = (generator.price_in_usd_per_mtok, generator.price_out_usd_per_mtok)
        if stage == "output" and generator.output_model:
            prices = (generator.output_price_in_usd_per_mtok, generator.output_price_out_usd_per_mtok)
        share = generator.batch_price_share if generator.mode == "batch" else 1.0
        before, after = (None if price is None else price * share for price in prices)
        return before, after

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        for broken, text in self._contradictions():
            if broken:
                raise ValueError(text)
        return self

    def _contradictions(self) -> Iterator[tuple[bool, str]]:
        generator, batch_size = self.generator, self.compose.batch_size
        yield (
            self.target_kept is not None and batch_size > self.target_kept,
            f"compose.batch_size is {batch_size}, larger than target_kept ({self.target_kept}): no batch could "
            "ever be filled; set compose.batch_size to at most target_kept",
        )
        yield (
            generator.kind == "stream" and not generator.stream_path,
            "generator.kind is stream, but generator.stream_path is empty; name a JSONL file",
        )
        yield (
            generator.kind == "stream" and self.feedback.mode == "auto",
            "feedback.mode auto needs to know which seeds made a candidate, and a stream has no lineage; "
            "set feedback.mode to off or review",
        )
        yield (
            generator.kind == "endpoint" and not generator.base_url,
            "generator.kind is endpoint, but generator.base_url is empty; give the server's address with /v1",
        )
        if generator.kind == "endpoint" and generator.base_url:
            fault = _address_fault(generator.base_url)
            yield fault is not None, f"generator.base_url {fault}; give the server's address as https://HOST/v1"
        yield (
            generator.kind == "embedded" and generator.prompt_form == "whole_task",
            "generator.prompt_form whole_task is not offered for the embedded model, which is too small for it; "
            "set generator.prompt_form to staged",
        )
        yield (
            self.feedback.signal == "ifd" and not self.train.ifd,
            "feedback.signal is ifd, but train.ifd is false, so that no example has one; set train.ifd to true",
        )
        yield (
            generator.mode == "batch" and generator.kind != "endpoint",
            f"generator.mode is batch, which only an endpoint has, but generator.kind is {generator.kind}; "
            "set generator.mode to live",
        )
        yield (
            generator.output_model is not None and (generator.kind != "endpoint" or generator.prompt_form != "staged"),
            f"generator.output_model is {generator.output_model!r}, but only a staged endpoint has a second stage; "
            "leave it empty, or set generator.prompt_form to staged",
        )
        yield (
            generator.kind != "stream" and isinstance(self.seeds.active, int) and self.demos.count > self.seeds.active,
            f"demos.count is {self.demos.count}, but seeds.active is only {self.seeds.active}; "
            "set demos.count to at most seeds.active",
        )

    @classmethod
    def load(
        cls, preset: str = "custom", settings: Mapping[str, Any] | None = None, folder: Path | None = None
    ) -> RunConfig:
        """The preset, shipped or saved in `folder`, with dotted settings laid over it; raises ConfigError in words."""
        return cls.from_dotted({**presets.find(preset, folder).settings, **(settings or {}), "preset": preset})

    @classmethod
    def from_dotted(cls, dotted: Mapping[str, Any]) -> RunConfig:
        """A configuration from dotted names; raises ConfigError naming the nearest for an unknown one."""
        nested: dict[str, Any] = {}
        for key, value in dotted.items():
            check_key(key)
            *sections, name = key.split(".")
            target = nested
            for section in sections:
                target = target.setdefault(section, {})
            target[name] = value
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            raise ConfigError(*_in_words(error)) from None

    def dotted(self) -> dict[str, Any]:
        """The same settings as a flat mapping of dotted names."""
        return dict(_flatten(self.model_dump(), ""))

    def with_settings(self, settings: Mapping[str, Any]) -> RunConfig:
        """A copy with dotted settings changed; raises ConfigError."""
        return self.from_dotted({**self.dotted(), **settings})


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`key=value` words of a command line as settings; a value is read as JSON where it is JSON."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r} has no '='.", "Write it as key=value, for example iterations=2.")
        check_key(key.strip())
        settings[key.strip()] = _read_value(text)
    return settings


def field_names() -> list[str]:
    """Every dotted name of the configuration, in order."""
    return list(RunConfig().dotted())


def field_of(name: str) -> FieldInfo:
    """The model's field of a dotted name."""
    *sections, last = name.split(".")
    model: Any = RunConfig
    for section in sections:
        model = model.model_fields[section].annotation
    return model.model_fields[last]


def check_key(key: str) -> None:
    """Raise ConfigError, offering the nearest names, unless `key` is a setting."""
    names = field_names()
    if key not in names:
        near = difflib.get_close_matches(key, names, n=3, cutoff=0.4) or names[:3]
        raise ConfigError(f"There is no setting {key[:SHOWN_VALUE]!r}.", f"Did you mean {' or '.join(near)}?")


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _in_words(error: ValidationError) -> tuple[str, str]:
    """The first fault of a validation as (what happened, what to do); a union says what each of its kinds allows."""
    faults = error.errors()
    names = _names(faults[0])
    if not names:
        return faults[0]["msg"].removeprefix("Value error, ").rstrip(".") + ".", ""
    given = repr(faults[0]["input"])
    shown = given if len(given) <= SHOWN_VALUE else f"{given[:SHOWN_VALUE]}…"
    allowed = dict.fromkeys(_allowed(fault["msg"]) for fault in faults if _names(fault) == names)
    return f"{'.'.join(names)} is {shown}, but should be {' or '.join(allowed)}.", "Change it and start again."


def _address_fault(address: str) -> str | None:
    """What is wrong with an endpoint's address, in words that never repeat a password; None where nothing is."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "is no address"
    if "@" in parts.netloc:
        return "holds a user name or a password, which would be stored; name a key in generator.api_key_env instead"
    if "\\" in address:
        return "holds a backslash"
    if parts.query or parts.fragment:
        return "goes on after a ? or #, where keys lie"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"is {address[:SHOWN_VALUE]!r}, which is no http address with a host"
    return None


def _names(fault: Mapping[str, Any]) -> list[str]:
    return [str(part) for part in fault["loc"] if not str(part).startswith(("constrained", "literal", "int", "float"))]


def _allowed(message: str) -> str:
    for theirs, ours in SAID.items():
        message = message.replace(theirs, ours)
    return message
