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
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx2
import openai

from sedi_engine.errors import GeneratorError
from sedi_engine.generator.body import UnreadableError, read_models, read_reply, salvage, storable
from sedi_engine.generator.request import ErrorKind, Reply, Request

LARGEST_REPLY_BYTES = 10 * 1024 * 1024
SERVER_WORDS = 200
NO_KEY = "none"
OPENAI_HOST = "api.openai.com"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
LISTING = Request("completion", "", max_tokens=0, temperature=0.0)
Result = TypeVar("Result")


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
        self._takes_schema = True
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

    async def abandon(self) -> None:
        """Nothing is left behind: who waits for a reply has it, or has let go of the connection."""

    async def send(self, request: Request, name: str = "") -> Reply:
        """One attempt. A failure is a Reply with an error; only cancellation is raised."""
        started = time.perf_counter()
        reply = await self._in_words(self._replied(request), request)
        return replace(reply, latency_s=time.perf_counter() - started)

    async def models(self) -> list[str] | Reply:
        """Names of the models that the endpoint lists; where it lists none, a Reply that says why."""
        return await self._in_words(self._listed(), LISTING)

    async def _in_words(self, work: Coroutine[Any, Any, Result], request: Request) -> Result | Reply:
        """What `work` brings within the time-out, or a Reply with what went wrong."""
        received = bytearray()
        token = _received.set(received)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work
        except (TimeoutError, openai.APITimeoutError):
            late = failed("timeout", f"No reply within {self._timeout_s:g} s.", "unknown", retryable=True)
            return salvage(bytes(received), request) or late
        except openai.APIStatusError as error:
            return self._turned_down(error.response, request)
        except UnreadableError as error:
            return failed(error.kind, f"{self.endpoint}: {error}", "unknown", retryable=error.retryable)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            return salvage(bytes(received), request) or self._unreachable(error)
        finally:
            _received.reset(token)

    async def _replied(self, request: Request) -> Reply:
        return read_reply(await self._body(request), request)

    async def _listed(self) -> list[str]:
        raw = await self._openai.models.with_raw_response.list()
        return read_models(raw.http_response.content)

    async def _body(self, request: Request) -> bytes:
        url, parameters = self.parameters(request)
        resource: Any = self._openai.completions if url == COMPLETIONS else self._openai.chat.completions
        raw = await resource.with_raw_response.create(**parameters)
        return raw.http_response.content

    def parameters(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The API's address for this request, and what is sent there."""
        common = {"model": request.model or self.model, **_sampling(request)}
        if isinstance(request.prompt, str):
            return COMPLETIONS, {**common, "prompt": request.prompt, "max_tokens": request.max_tokens}
        if request.schema and self._takes_schema:
            common["response_format"] = response_format(request.schema)
        messages = [{"role": role, "content": content} for role, content in request.prompt]
        return CHAT, {**common, "messages": messages, self._limit_name: request.max_tokens}

    def _turned_down(self, response: httpx2.Response, request: Request) -> Reply:
        """The sentence for a status that is no success."""
        status, where = response.status_code, f"{self.endpoint} answered {response.status_code}"
        words, code = self._server_words(response)
        if request.schema and self._takes_schema and status in (400, 415, 422, 501) and _about_schema(words):
            self._takes_schema = False
            return failed("schema", f"{where}: it takes no JSON schema, so it is left out.", retryable=True)
        if 300 <= status < 400:
            return failed("address", f"{where}: it sends us elsewhere, which is not followed. Check the address.")
        if status in (401, 403):
            return failed("key", f"{where}: it does not accept the key.")
        if code == "insufficient_quota":
            return failed("quota", f"{where}: the account has no quota left.")
        if status == 404:
            return failed(
                "model", f"{where}: there is no model {request.model or self.model!r} at this address.{words}"
            )
        wait = {"retryable": True, "retry_after_s": _retry_after_s(response.headers)}
        if status == 429:
            return failed("rate", f"{where}: too many calls.", **wait)
        if status in (503, 529):
            return failed("overload", f"{where}: it has too much to do.{words}", **wait)
        if status >= 500 or status in (408, 409):
            return failed("server", f"{where}.{words}", "unknown", **wait)
        return failed("request", f"{where}: it does not take this call.{words}")

    def _server_words(self, response: httpx2.Response) -> tuple[str, str | None]:
        """The server's own message, shortened and without the key, and its error code."""
        try:
            said = json.loads(response.content)
        except (ValueError, RecursionError):
            return "", None
        said = said.get("error", said) if isinstance(said, dict) else {}
        said = said if isinstance(said, dict) else {"message": said}
        message, code = said.get("message"), said.get("code")
        words = " ".join(storable(message).replace(self._key, "***").split()) if isinstance(message, str) else ""
        return (f" It says: {words[:SERVER_WORDS]}" if words else ""), code if isinstance(code, str) else None

    def _unreachable(self, error: Exception) -> Reply:
        cause = error.__cause__ or error
        if isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol):
            return failed("connection", f"{self.endpoint} cannot be reached{_why(cause)}.", retryable=True)
        text = f"The connection to {self.endpoint} broke off before the reply was complete."
        return failed("connection", text, "unknown", retryable=True)


# what has come of the reply that this task waits for: half of it may be all that ever comes
_received: ContextVar[bytearray | None] = ContextVar("received", default=None)
_largest: ContextVar[float] = ContextVar("largest", default=LARGEST_REPLY_BYTES)


@contextlib.contextmanager
def reading_unbounded() -> Iterator[None]:
    """For who reads an answer piece by piece and holds none of it: no bound on its size, no copy of it."""
    largest, received = _largest.set(math.inf), _received.set(None)
    try:
        yield
    finally:
        _largest.reset(largest)
        _received.reset(received)


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema as the API wants it; OpenAI's strict form asks for every property and allows no other."""
    return {"type": "json_schema", "json_schema": {"name": "tasks", "strict": True, "schema": dict(schema)}}


def _sampling(request: Request) -> dict[str, Any]:
    sampling: dict[str, Any] = {"temperature": request.temperature, "top_p": request.top_p}
    for name in ("presence_penalty", "frequency_penalty", "seed"):
        if value := getattr(request, name):
            sampling[name] = value
    if request.stop:
        sampling["stop"] = list(request.stop)
    return sampling


def _about_schema(words: str) -> bool:
    return any(word in words.lower() for word in ("response_format", "json_schema", "schema", "structured", "grammar"))


def _why(cause: BaseException) -> str:
    """Why a connection could not be made, as far as it can be told."""
    text = str(cause).lower()
    if "certificate" in text:
        return ": its TLS certificate is not accepted (wrong host, expired, or signed by nobody known here)"
    if "ssl" in text or "wrong version number" in text or "record layer" in text:
        return ": it does not speak TLS there; is it http and not https?"
    if "name or service" in text or "getaddrinfo" in text or "nodename" in text or "name resolution" in text:
        return ": there is no such host"
    if "refused" in text or "all connection attempts failed" in text:
        return ": nothing listens there"
    return ""


class _Bounded(httpx2.AsyncByteStream):
    """A reply's bytes, up to the largest size that is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._stream:
            total += len(chunk)
            if total > _largest.get():
                megabytes = LARGEST_REPLY_BYTES // 1024**2
                raise UnreadableError(f"The reply is larger than {megabytes} MB.", retryable=False)
            received = _received.get()
            if received is not None:
                received.extend(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        # unpacking could grow without bound, and the request asked for plain bytes
        raise UnreadableError("The reply is compressed, which was not asked for.", retryable=False)
    response.stream = _Bounded(response.stream)


def failed(
    kind: ErrorKind,
    sentence: str,
    usage: Literal["unknown", "none"] = "none",
    *,
    retryable: bool = False,
    retry_after_s: float | None = None,
) -> Reply:
    """A reply that says in a sentence what went wrong."""
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
