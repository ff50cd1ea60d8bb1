"""From the body of an endpoint's answer to a Reply; half a body too, as far as it goes. Pure.

Usage is the server's where it can be true, else estimated from bytes and marked so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sedi_engine.generator.request import CUT, ErrorKind, Reply, Request

BYTES_PER_TOKEN = 4
TEMPLATE_TOKENS = 512  # what a chat template may add to a prompt
USAGE_NAMES = ("prompt_tokens", "completion_tokens")
HALF_TEXT = re.compile(r'"(?:content|text)"\s*:\s*"((?:[^"\\]|\\.)*)')


class UnreadableError(Exception):
    """A reply that is not to be read; `retryable` where another try may bring a better one."""

    def __init__(self, text: str, *, kind: ErrorKind = "malformed", retryable: bool = True) -> None:
        super().__init__(text)
        self.kind, self.retryable = kind, retryable


def read_reply(body: bytes, request: Request) -> Reply:
    """The reply in a success's body; raises UnreadableError where the form is not the API's."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return _broken(body, request)
    try:
        choice = answer["choices"][0]
        finish_reason = choice.get("finish_reason")
        text = choice["text"] if request.kind == "completion" else choice["message"].get("content")
        if text is None and isinstance(refusal := choice["message"].get("refusal"), str):
            text, finish_reason = refusal, "refusal"
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UnreadableError("The reply is not in the API's form.") from None
    if not isinstance(text, str):
        raise UnreadableError("The reply holds no text.")
    reason = storable(finish_reason) if isinstance(finish_reason, str) else None
    return Reply(text=storable(text), finish_reason=reason, **_usage(answer.get("usage"), request, text))


def read_models(body: bytes) -> list[str]:
    """The names in a list of models, as they stand there; raises UnreadableError where the form is not the API's."""
    try:
        names = [model["id"] for model in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        _raise_if_web_page(body)
        raise UnreadableError("The list of models is not in the API's form.") from None
    return [storable(name) for name in names if isinstance(name, str)]


def salvage(body: bytes, request: Request) -> Reply | None:
    """What there is of the text in a body that broke off; None where there is none."""
    found = HALF_TEXT.search(body.decode("utf-8", "ignore"))
    text = _unescaped(found[1]) if found else ""
    return Reply(text=text, finish_reason=CUT, **_usage(None, request, text)) if text.strip() else None


def storable(text: str) -> str:
    """The text without what no UTF-8 file or database column can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _broken(body: bytes, request: Request) -> Reply:
    """A body that is no JSON: half a reply, a web page, or garbage."""
    _raise_if_web_page(body)
    if half := salvage(body, request):
        return half
    raise UnreadableError("The reply is not in the API's form.")


def _raise_if_web_page(body: bytes) -> None:
    if body.lstrip()[:1] == b"<":
        raise UnreadableError(
            "It answered a web page, not the API's JSON: check that generator.base_url ends in /v1.",
            kind="address",
            retryable=False,
        )


def _unescaped(text: str) -> str:
    """A JSON string without its end; an escape that is cut off is left out."""
    for cut in range(7):
        try:
            return storable(json.loads(f'"{text[: len(text) - cut]}"', strict=False))
        except ValueError:
            continue
    return ""


def _usage(usage: Any, request: Request, text: str) -> dict[str, Any]:
    """Tokens as the server counted them, where that can be true; else estimated from bytes."""
    prompt = request.prompt if isinstance(request.prompt, str) else "".join(said for _, said in request.prompt)
    sizes = [len(part.encode("utf-8", "replace")) for part in (prompt, text)]
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in USAGE_NAMES]
    if all(map(_is_count, counts)) and _credible(counts, sizes, request):
        return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "usage_source": "server"}
    prompt_tokens, completion_tokens = (-(-size // BYTES_PER_TOKEN) for size in sizes)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "usage_source": "estimated",
    }


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _credible(counts: list[Any], sizes: list[int], request: Request) -> bool:
    """No tokenizer makes more tokens than bytes; a model may think unseen, but a text is not made of nothing."""
    prompt_tokens, completion_tokens = counts
    most = max(request.max_tokens, sizes[1]) + TEMPLATE_TOKENS
    if prompt_tokens > sizes[0] + TEMPLATE_TOKENS + _schema_bytes(request) or completion_tokens > most:
        return False
    return completion_tokens > 0 or sizes[1] == 0


def _schema_bytes(request: Request) -> int:
    return len(json.dumps(request.schema)) if request.schema else 0
