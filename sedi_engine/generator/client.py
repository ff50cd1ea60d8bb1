"""One async client for every OpenAI-compatible endpoint: one attempt a call, and never an exception for a failed one.

Retries, journal and ledger are the caller's: each attempt is a row there. No text that leaves this module
carries the key or the address's credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import httpx2
import openai

from sedi_engine.errors import GeneratorError
from sedi_engine.generator.request import ErrorKind, Reply, Request

LARGEST_REPLY_BYTES = 10 * 1024 * 1024
SERVER_WORDS = 200
BYTES_PER_TOKEN = 4
NO_KEY = "none"
OPENAI_HOST = "api.openai.com"
USAGE_NAMES = ("prompt_tokens", "completion_tokens")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Client:
    """Sends requests to one model of one endpoint; an async context manager. Raises GeneratorError for a bad key."""

    def __init__(
        self, base_url: str, model: str, *, api_key: str | None, timeout_s: float, max_concurrency: int
    ) -> None:
        address = urlsplit(base_url)
        self.model = model
        self.endpoint = _without_credentials(address)
        self._key = _checked(api_key)
        self._timeout_s = timeout_s
        self._limit_name = "max_completion_tokens" if address.hostname == OPENAI_HOST else "max_tokens"
        http = httpx2.AsyncClient(
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=max_concurrency),
            trust_env=address.hostname not in LOOPBACK,
            follow_redirects=False,
            event_hooks={"response": [_bound]},
        )
        self._openai = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=self._key,
            max_retries=0,
            http_client=http,
            default_headers={"Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._openai.close()

    @property
    def patient(self) -> bool:
        """Replies come within the time-out."""
        return False

    def holds(self, name: str) -> bool:
        """No reply outlives the connection."""
        return False

    async def send(self, request: Request, name: str = "") -> Reply:
        """One attempt. A failure is a Reply with an error; only cancellation is raised."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._body(request)
            reply = _read(body, request)
        except (TimeoutError, openai.APITimeoutError):
            reply = _failed("timeout", f"No reply within {self._timeout_s:g} s.", "unknown", retryable=True)
        except openai.APIStatusError as error:
            reply = self._turned_down(error.response)
        except _UnreadableError as error:
            reply = _failed("malformed", str(error), "unknown", retryable=error.retryable)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            reply = self._unreachable(error)
        return replace(reply, latency_s=time.perf_counter() - started)

    async def _body(self, request: Request) -> bytes:
        sampling: dict[str, Any] = {"temperature": request.temperature, "top_p": request.top_p}
        for name in ("presence_penalty", "frequency_penalty", "seed"):
            if value := getattr(request, name):
                sampling[name] = value
        if request.stop:
            sampling["stop"] = list(request.stop)
        if isinstance(request.prompt, str):
            create = self._openai.completions.with_raw_response.create
            raw = await create(model=self.model, prompt=request.prompt, max_tokens=request.max_tokens, **sampling)
        else:
            create_chat: Any = self._openai.chat.completions.with_raw_response.create
            messages = [{"role": role, "content": content} for role, content in request.prompt]
            limit = {self._limit_name: request.max_tokens}
            raw = await create_chat(model=self.model, messages=messages, **limit, **sampling)
        return raw.http_response.content

    def _turned_down(self, response: httpx2.Response) -> Reply:
        """The sentence for a status that is no success."""
        status, where = response.status_code, f"{self.endpoint} answered {response.status_code}"
        words, code = self._server_words(response)
        if status in (401, 403):
            return _failed("key", f"{where}: it does not accept the key.")
        if code == "insufficient_quota":
            return _failed("quota", f"{where}: the account has no quota left.")
        if status == 404:
            return _failed("model", f"{where}: there is no model {self.model!r} at this address.{words}")
        wait = {"retryable": True, "retry_after_s": _retry_after_s(response.headers)}
        if status == 429:
            return _failed("rate", f"{where}: too many calls.", **wait)
        if status >= 500 or status in (408, 409):
            return _failed("server", f"{where}.{words}", "unknown", **wait)
        return _failed("request", f"{where}: it does not take this call.{words}")

    def _server_words(self, response: httpx2.Response) -> tuple[str, str | None]:
        """The server's own message, shortened and without the key, and its error code."""
        try:
            said = json.loads(response.content)
        except (ValueError, RecursionError):
            return "", None
        said = said.get("error", said) if isinstance(said, dict) else {}
        said = said if isinstance(said, dict) else {"message": said}
        message, code = said.get("message"), said.get("code")
        words = " ".join(_storable(message).replace(self._key, "***").split()) if isinstance(message, str) else ""
        return (f" It says: {words[:SERVER_WORDS]}" if words else ""), code if isinstance(code, str) else None

    def _unreachable(self, error: Exception) -> Reply:
        cause = error.__cause__ or error
        if isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol):
            return _failed("connection", f"{self.endpoint} cannot be reached.", retryable=True)
        text = f"The connection to {self.endpoint} broke off before the reply was complete."
        return _failed("connection", text, "unknown", retryable=True)


class _UnreadableError(Exception):
    """A reply that is not to be read; `retryable` where another try may bring a better one."""

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


class _Bounded(httpx2.AsyncByteStream):
    """A reply's bytes, up to the largest size that is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._stream:
            total += len(chunk)
            if total > LARGEST_REPLY_BYTES:
                megabytes = LARGEST_REPLY_BYTES // 1024**2
                raise _UnreadableError(f"The reply is larger than {megabytes} MB.", retryable=False)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        # unpacking could grow without bound, and the request asked for plain bytes
        raise _UnreadableError("The reply is compressed, which was not asked for.", retryable=False)
    response.stream = _Bounded(response.stream)


def _read(body: bytes, request: Request) -> Reply:
    """The reply in a success's body; raises _UnreadableError where the form is not the API's."""
    try:
        answer = json.loads(body)
        choice = answer["choices"][0]
        finish_reason = choice.get("finish_reason")
        text = choice["text"] if request.kind == "completion" else choice["message"].get("content")
        if text is None and isinstance(refusal := choice["message"].get("refusal"), str):
            text, finish_reason = refusal, "refusal"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _UnreadableError("The reply is not in the API's form.", retryable=True) from None
    if not isinstance(text, str):
        raise _UnreadableError("The reply holds no text.", retryable=True)
    reason = _storable(finish_reason) if isinstance(finish_reason, str) else None
    return Reply(text=_storable(text), finish_reason=reason, **_usage(answer.get("usage"), request, text))


def _usage(usage: Any, request: Request, text: str) -> dict[str, Any]:
    """Tokens as the server counted them, else estimated from bytes."""
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in USAGE_NAMES]
    if all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
        return {"prompt_tokens": counts[0], "completion_tokens": counts[1], "usage_source": "server"}
    prompt = request.prompt if isinstance(request.prompt, str) else "".join(said for _, said in request.prompt)
    prompt_tokens, completion_tokens = (-(-len(part.encode()) // BYTES_PER_TOKEN) for part in (prompt, _storable(text)))
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "usage_source": "estimated",
    }


def _failed(
    kind: ErrorKind,
    sentence: str,
    usage: Literal["unknown", "none"] = "none",
    *,
    retryable: bool = False,
    retry_after_s: float | None = None,
) -> Reply:
    return Reply(error=sentence, error_kind=kind, usage_source=usage, retryable=retryable, retry_after_s=retry_after_s)


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """Seconds that the server asks to wait: retry-after-ms, or retry-after as seconds or a date."""
    with contextlib.suppress(KeyError, ValueError):
        return _seconds(float(headers["retry-after-ms"]) / 1000)
    with contextlib.suppress(KeyError, ValueError):
        return _seconds(float(headers["retry-after"]))
    with contextlib.suppress(KeyError, ValueError, TypeError):
        return _seconds(parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return None


def _seconds(value: float) -> float | None:
    return max(value, 0.0) if math.isfinite(value) else None


def _storable(text: str) -> str:
    """The text without what no UTF-8 file or database column can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _without_credentials(address: SplitResult) -> str:
    """Scheme, host, port and path alone: an address may carry a password or a key."""
    host = address.netloc.rpartition("@")[2]
    return f"{address.scheme}://{host}{address.path}"


def _checked(api_key: str | None) -> str:
    key = (api_key or NO_KEY).strip()
    if not (key.isascii() and key.isprintable() and key):
        raise GeneratorError(
            "The endpoint's key has characters that no request can carry.", "Set the key's variable again."
        )
    return key
