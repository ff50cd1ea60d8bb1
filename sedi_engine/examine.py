"""What an endpoint can do: one look at its list of models and four short calls, five where one breaks off.

Each finding is a subject, whether it is well (ok, no, unknown), a sentence, and what to do next. The sentences hold
words of the server: they are plain text and never markup.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from sedi_engine.config import RunConfig
from sedi_engine.generator.prompts import task_schema
from sedi_engine.generator.request import Reply, Request
from store.records import CallStage

State = Literal["ok", "no", "unknown"]
Send = Callable[[Request, CallStage], Awaitable[Reply]]

CONNECTION = "connection"
HOPELESS = ("connection", "timeout", "key", "quota")  # after these no other call can bring anything new
SHOWN_NAME = 80
FIXES = {
    "key": "Set the variable that generator.api_key_env names to a key of this server.",
    "quota": "Look into the account at the provider.",
    "model": "Check generator.model, and that generator.base_url ends in /v1.",
    "address": "Check generator.base_url: it ends in /v1.",
    "connection": "Check generator.base_url, and that the server is up.",
    "timeout": "Try again, or raise generator.timeout_s.",
    "rate": "Wait a little and try again.",
    "overload": "Wait a little and try again.",
    "request": "Change the setting that it names; sampling comes from generator.temperature and generator.top_p.",
}


@dataclass(frozen=True)
class Finding:
    """One subject: whether it is well, what was found in a sentence, and what to do about it."""

    subject: str
    state: State
    found: str
    next_step: str = ""


@dataclass(frozen=True)
class Examination:
    """All findings in order; `usable` when a run with these settings would get its calls answered.

    `calls` and `cost_usd` are what the look itself took; the cost is None where a price or a count is unknown.
    """

    findings: tuple[Finding, ...]
    usable: bool
    calls: int = 0
    cost_usd: float | None = 0.0


class Lister(Protocol):
    """What can list models, as the client does."""

    async def models(self) -> list[str] | Reply:
        """The names, or a Reply that says why there are none."""


async def examine(lister: Lister, send: Send, config: RunConfig) -> Examination:
    """Look at the endpoint of these settings. `send` is told what a call stands for, which decides its price."""
    generator = config.generator
    began = time.perf_counter()
    listed = await lister.models()
    waited_s = time.perf_counter() - began
    findings = [_address(listed, waited_s)]
    if isinstance(listed, Reply) and listed.error_kind in HOPELESS:
        return Examination((*findings, _price(config)), usable=False)
    chat = await send(_chat(config), "instruction")
    if chat.error_kind == "connection":  # a server may close the connection that the list came over
        chat = await send(_chat(config), "instruction")
    hopeless = chat.error_kind in HOPELESS
    completion = chat if hopeless else await send(_completion(config), "instruction")
    answered = next((reply for reply in (chat, completion) if not reply.error), None)
    if generator.kind == "endpoint":
        findings.append(_models(listed, generator.model, answers=answered is not None))
    findings.append(_works("chat", chat, needed=generator.api == "chat", other="completion"))
    if not hopeless:
        findings.append(_works("completion", completion, needed=generator.api == "completion", other="chat"))
    if not chat.error:
        findings.append(_schema(await send(_with_schema(config), "instruction")))
    usable = not (chat if generator.api == "chat" else completion).error
    if generator.output_model and not hopeless:
        request = (_chat if generator.api == "chat" else _completion)(config, generator.output_model)
        second = await send(request, "output")
        findings.append(_works("output model", second, needed=True))
        usable = usable and not second.error
    findings += [_usage(answered), _speed(answered), _price(config)]
    return Examination(tuple(findings), usable)


def _chat(config: RunConfig, model: str = "") -> Request:
    return _request(config, "Write the numbers from one to twenty as words, with commas.", 64, model)


def _with_schema(config: RunConfig) -> Request:
    """It does not speak of JSON, so JSON in the form of the schema can come of the schema alone."""
    ask = "Suggest two short tasks for a helpful assistant."
    return _request(config, ask, 160, schema=task_schema("instructions"))


def _completion(config: RunConfig, model: str = "") -> Request:
    return replace(_request(config, "", 16, model), kind="completion", prompt="One, two, three, four,")


def _request(
    config: RunConfig, ask: str, max_tokens: int, model: str = "", schema: dict[str, Any] | None = None
) -> Request:
    generator = config.generator
    return Request(
        "chat",
        (("user", ask),),
        max_tokens=max_tokens,
        temperature=generator.temperature,
        top_p=generator.top_p,
        prompt_version=CONNECTION,
        model=model,
        schema=schema,
    )


def _address(listed: list[str] | Reply, waited_s: float) -> Finding:
    answer = f"It answers, the list of models in {1000 * waited_s:.0f} ms."
    if isinstance(listed, list) or not listed.error:
        return Finding("address", "ok", answer)
    if listed.error_kind in HOPELESS or listed.error_kind == "address":
        return Finding("address", "no", _plain(listed.error), _fix(listed))
    return Finding("address", "ok", f"It answers, within {1000 * waited_s:.0f} ms.")


def _models(listed: list[str] | Reply, model: str, *, answers: bool) -> Finding:
    if not isinstance(listed, list) or not listed:
        return Finding("models", "unknown", "It lists no models, so only a call can tell whether it has one.")
    of = f"among the {len(listed)} models that it lists" if len(listed) > 1 else "the one model that it lists"
    if model in listed:
        return Finding("models", "ok", f"{model!r} is {of}.")
    near = difflib.get_close_matches(model, listed, n=3, cutoff=0.3) or listed[:3]
    nearest = f"Nearest: {', '.join(repr(_plain(name)[:SHOWN_NAME]) for name in near)}."
    if answers:
        return Finding("models", "unknown", f"{model!r} is not {of}, yet it answers to that name.", nearest)
    return Finding("models", "no", f"{model!r} is not {of}.", nearest)


def _works(subject: str, reply: Reply, *, needed: bool, other: str = "") -> Finding:
    if not reply.error:
        tokens = reply.completion_tokens
        return Finding(subject, "ok", f"It answered {tokens} token{'s' * (tokens != 1)} in {reply.latency_s:.2f} s.")
    if needed:
        step = f" If {other} works, set generator.api to {other}." if other else ""
        return Finding(subject, "no", _plain(reply.error), _fix(reply) + step)
    return Finding(subject, "no", _plain(reply.error), "These settings do not need it.")


def _schema(reply: Reply) -> Finding:
    subject, fallback = "json_schema", "Nothing needs to be done: replies are asked for as JSON in words."
    if reply.error_kind == "schema":
        return Finding(subject, "no", "It refuses a JSON schema, so none is sent.", fallback)
    if reply.error:
        return Finding(subject, "unknown", _plain(reply.error), _fix(reply))
    if _fits(reply):
        return Finding(subject, "ok", "It follows a JSON schema.")
    return Finding(subject, "no", "It takes a JSON schema and does not follow it.", fallback)


def _fits(reply: Reply) -> bool:
    """Whether a reply is what the schema allows, as far as it goes where it was cut."""
    if reply.finish_reason not in (None, "stop"):
        return "".join(reply.text.split()).startswith('{"tasks":[')
    try:
        tasks = json.loads(reply.text)["tasks"]
        return all(list(task) == ["instruction"] and isinstance(task["instruction"], str) for task in tasks)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _usage(reply: Reply | None) -> Finding:
    if reply is None:
        return Finding("usage", "unknown", "No call was answered.")
    if reply.usage_source == "server":
        return Finding("usage", "ok", "It says how many tokens a call took.")
    return Finding(
        "usage",
        "no",
        "It does not say, or not credibly, how many tokens a call took: they are estimated from bytes and marked so.",
        "Compare the spend with the provider's bill.",
    )


def _speed(reply: Reply | None) -> Finding:
    if reply is None or not reply.completion_tokens or not reply.latency_s:
        return Finding("speed", "unknown", "No call was answered.")
    rate = reply.completion_tokens / reply.latency_s
    return Finding("speed", "ok", f"{rate:.0f} tokens/s in one call alone, the way there and back included.")


def _price(config: RunConfig) -> Finding:
    stages: tuple[CallStage, ...] = ("instruction", "output") if config.generator.output_model else ("instruction",)
    prices = [config.prices(stage) for stage in stages]
    if any(None in pair for pair in prices):
        step = "Set generator.price_in_usd_per_mtok and generator.price_out_usd_per_mtok"
        step += ", and those of outputs." if len(stages) > 1 else "."
        return Finding("price", "unknown", "The price of a token is not known, so no run can be capped in USD.", step)
    said = ", outputs ".join(f"{before:g} in and {after:g} out" for before, after in prices)
    return Finding("price", "ok", f"USD per million tokens: {said}.")


def _fix(reply: Reply) -> str:
    return FIXES.get(reply.error_kind or "", "Try again; if it stays so, ask who runs the server.")


def _plain(text: str | None) -> str:
    """One line that no terminal reads a command in."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join((text or "").split()))
