"""What a run will take, before it starts: calls, tokens, money and time, each as low, likely and high.

Prompts are really rendered and counted as UTF-8 bytes / 4, so nothing is loaded. Rates come from earlier runs of the
same generator where there are any, else from what is built in; `basis` says which.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sedi_engine.config import Prices, RunConfig
from sedi_engine.costs import cost_usd
from sedi_engine.generator.templates import Templates
from store.estimates import History, RunFigures
from store.records import Seed

BYTES_PER_TOKEN = 4
DRAWS = 8
WIDER = 1.2  # the next run may differ more than the earlier ones did among themselves


@dataclass(frozen=True)
class Range:
    """Low, likely and high, in this order of size."""

    low: float
    likely: float
    high: float

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else Range(other, other, other)
        return Range(self.low * by.low, self.likely * by.likely, self.high * by.high)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def inverse(self) -> Range:
        """1 / value: the highest gives the low end."""
        return Range(1 / self.high, 1 / self.likely, 1 / self.low)

    def rounded(self) -> Range:
        """Whole numbers."""
        return Range(*(float(round(value)) for value in (self.low, self.likely, self.high)))


@dataclass(frozen=True)
class Rates:
    """What a generator and a student do; seconds are wall time with as many calls at once as the run has."""

    kept_share: Range  # of the tasks asked for
    tokens_per_task: Range  # completion tokens of a list, or of whole tasks, for each task asked for
    outputs_per_kept: Range
    tokens_per_output: Range
    s_per_token: Range
    s_per_trained: Range


@dataclass(frozen=True)
class Estimate:
    """A run before it starts. Tokens as the generator counts them; `cost_usd` is None if a price is unknown.

    `capped_by` names the cap that is likely to end the run early, and no figure goes beyond any cap.
    """

    kept: Range
    calls: Range
    prompt_tokens: Range
    completion_tokens: Range
    cost_usd: Range | None
    seconds: Range
    capped_by: str | None
    basis: str


# SmolLM2-135M on two cores: 87 tokens/s alone and 182 with eight calls at once, 265 tokens/s of training its last
# layers; 65 % of what was asked for kept at threshold 0.85 over 790 calls, more while a pool is small.
EMBEDDED = Rates(
    kept_share=Range(0.4, 0.6, 0.75),
    tokens_per_task=Range(12, 20, 40),
    outputs_per_kept=Range(1.0, 1.1, 1.4),
    tokens_per_output=Range(50, 100, 200),
    s_per_token=Range(1 / 180, 1 / 100, 1 / 40),
    s_per_trained=Range(0.25, 0.6, 2.0),
)
# Rules of thumb for a larger model behind an address; s_per_token is that of one call alone.
ENDPOINT = replace(EMBEDDED, kept_share=Range(0.4, 0.65, 0.85), s_per_token=Range(1 / 150, 1 / 50, 1 / 15))
STREAM = replace(EMBEDDED, kept_share=Range(0.4, 0.7, 1.0), s_per_token=Range(0, 0, 0))
BUILT_IN = {
    "embedded": (EMBEDDED, "measurements of the embedded model on two CPU cores; another machine may differ much"),
    "endpoint": (ENDPOINT, "rules of thumb, for no run with this generator is stored yet"),
    "stream": (STREAM, "rules of thumb; recorded candidates cost nothing"),
}
START_S = Range(4, 10, 40)
LOAD_STUDENT_S = Range(4, 12, 40)


def estimate(
    config: RunConfig, seeds: Sequence[Seed], history: History | None = None, templates: Templates | None = None
) -> Estimate:
    """What a run of `config` that draws from `seeds` will take, caps included."""
    rates, basis = _rates(config, history)
    streamed, staged = config.generator.kind == "stream", config.generator.prompt_form == "staged"
    full = config.iterations * config.window
    wanted = float(min(full, config.target_kept or full))
    kept = Range(wanted, wanted, wanted)
    lists = _at_least_one(rates.kept_share.inverse() * (wanted / config.generator.tasks_per_call))
    outputs = kept * rates.outputs_per_kept * float(staged and not streamed)
    templates = templates or Templates()
    list_prompt, output_prompt = (Range(0, 0, 0),) * 2 if streamed else _prompt_tokens(config, seeds, templates)
    per_task = rates.tokens_per_task + (Range(0, 0, 0) if staged else rates.tokens_per_output)
    paid = float(not streamed)
    listed = (lists * list_prompt, lists * per_task * config.generator.tasks_per_call * paid)
    solved = (outputs * output_prompt, outputs * rates.tokens_per_output * paid)
    prompt, completion = listed[0] + solved[0], listed[1] + solved[1]
    money = _added(_money(config.prices("instruction"), *listed), _money(config.prices("output"), *solved))
    seconds = START_S + completion * rates.s_per_token + _training_s(config, wanted, rates)
    uncapped = Estimate(kept, lists + outputs, prompt, completion, money, seconds, None, basis)
    return _capped(config, uncapped)


def _rates(config: RunConfig, history: History | None) -> tuple[Rates, str]:
    """Rates with their basis in words; what earlier runs do not tell comes from what is built in."""
    known, basis = BUILT_IN[config.generator.kind]
    built_in = _sized(config, known)
    if history is None:
        return built_in, f"Rests on {basis}."
    runs = history.runs
    trained = [run for run in runs if run.train_model == config.train.model]
    rates = Rates(
        _ratio(runs, "kept", "asked") or built_in.kept_share,
        _ratio(runs, "list_tokens", "asked") or built_in.tokens_per_task,
        _ratio(runs, "output_calls", "kept") or built_in.outputs_per_kept,
        _ratio(runs, "output_tokens", "output_calls") or built_in.tokens_per_output,
        _ratio(runs, "generate_s", "tokens") or built_in.s_per_token,
        _ratio(trained, "train_s", "trained") or built_in.s_per_trained,
    )
    return replace(
        rates, kept_share=_at_most(rates.kept_share, 1.0)
    ), f"Rests on {len(runs)} earlier run{'s' * (len(runs) > 1)} with this generator."


def _sized(config: RunConfig, rates: Rates) -> Rates:
    """Built-in rates for these limits on length; calls at once share one machine only when it is embedded."""
    generator = config.generator
    at_once = generator.max_concurrency if generator.kind == "endpoint" else 1
    return replace(
        rates,
        tokens_per_task=_at_most(rates.tokens_per_task, generator.max_instruction_tokens / generator.tasks_per_call),
        tokens_per_output=_at_most(rates.tokens_per_output, generator.max_output_tokens),
        s_per_token=rates.s_per_token * (1 / at_once),
    )


def _ratio(runs: Sequence[RunFigures], above: str, below: str) -> Range | None:
    """The ratio of the sums, and the smallest and largest of single runs made wider; None if nothing tells."""
    told = [(getattr(run, above), getattr(run, below)) for run in runs]
    told = [(over, under) for over, under in told if over > 0 and under > 0]
    if not told:
        return None
    each = [over / under for over, under in told]
    likely = sum(over for over, _ in told) / sum(under for _, under in told)
    return Range(min(each) / WIDER, likely, max(each) * WIDER)


def _prompt_tokens(config: RunConfig, seeds: Sequence[Seed], templates: Templates) -> tuple[Range, Range]:
    """Tokens of a list (or whole-task) prompt and of an output prompt, from prompts with drawn demonstrations."""
    from sedi_engine.generator import prompts

    generator, rng = config.generator, random.Random(config.random_seed)
    ask = prompts.instruction_request if generator.prompt_form == "staged" else prompts.whole_task_request
    shown = min(config.demos.count + config.demos.from_pool, len(seeds))
    lists, outputs = [], []
    for _ in range(DRAWS):
        demos = rng.sample(list(seeds), shown)
        lists.append(ask(demos, config, 0, templates).prompt)
        task = demos[0].instruction if demos else ""
        outputs.append(prompts.output_request(task, demos[: config.demos.count], config, 0, templates).prompt)
    return _counted(lists), _counted(outputs)


def _counted(rendered: Sequence[str | tuple[tuple[str, str], ...]]) -> Range:
    texts = [prompt if isinstance(prompt, str) else "".join(text for _, text in prompt) for prompt in rendered]
    tokens = [len(text.encode()) / BYTES_PER_TOKEN for text in texts]
    return Range(min(tokens) / WIDER, sum(tokens) / len(tokens), max(tokens) * WIDER)


def _training_s(config: RunConfig, examples: float, rates: Rates) -> Range:
    if config.train.model == "none":
        return Range(0, 0, 0)
    return LOAD_STUDENT_S + rates.s_per_trained * examples


def _money(rates: Prices, prompt: Range, completion: Range) -> Range | None:
    ends = [cost_usd(asked, told, rates) for asked, told in zip(_ends(prompt), _ends(completion), strict=True)]
    low, likely, high = ends
    return None if low is None or likely is None or high is None else Range(low, likely, high)


def _added(lists: Range | None, outputs: Range | None) -> Range | None:
    return None if lists is None or outputs is None else lists + outputs


def _capped(config: RunConfig, free: Estimate) -> Estimate:
    """The estimate up to where a cap stops it: each end goes as far as its tightest cap lets it."""
    budget = config.budget
    uses = {
        "max_usd": (budget.max_usd, free.cost_usd),
        "max_tokens": (budget.max_tokens, free.prompt_tokens + free.completion_tokens),
        "max_calls": (budget.max_calls, free.calls),
        "max_minutes": (budget.max_minutes, free.seconds * (1 / 60)),
    }
    shares = {name: _share(limit, use) for name, (limit, use) in uses.items() if limit is not None and use}
    part = Range(*(min([1.0, *ends]) for ends in zip(*map(_ends, shares.values()), strict=True))) if shares else None
    if part is None:
        return replace(free, calls=free.calls.rounded())
    name, tightest = min(shares.items(), key=lambda item: item[1].likely)
    return replace(
        free,
        kept=_sorted(free.kept * part),
        calls=_sorted(free.calls * part).rounded(),
        prompt_tokens=_sorted(free.prompt_tokens * part),
        completion_tokens=_sorted(free.completion_tokens * part),
        cost_usd=free.cost_usd and _sorted(free.cost_usd * part),
        seconds=_sorted(free.seconds * part),
        capped_by=name if tightest.likely < 1 else None,
    )


def _share(limit: float, use: Range) -> Range:
    """How much of a run a cap lets through, at each end of its use."""
    return Range(*(limit / value if value > limit else 1.0 for value in _ends(use)))


def _ends(values: Range) -> tuple[float, float, float]:
    return values.low, values.likely, values.high


def _sorted(values: Range) -> Range:
    """A run that would take the most may be stopped the earliest, so its ends can change places."""
    return Range(*sorted(_ends(values)))


def _at_most(values: Range, limit: float) -> Range:
    return Range(*(min(value, limit) for value in _ends(values)))


def _at_least_one(calls: Range) -> Range:
    return Range(*(max(value, 1.0) for value in _ends(calls)))
