"""A request to a generator and the reply to it, as plain values that go to and from JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

ErrorKind = Literal[
    "key",
    "quota",
    "model",
    "address",
    "schema",
    "request",
    "connection",
    "timeout",
    "rate",
    "overload",
    "server",
    "malformed",
]
CUT = "cut"  # finish_reason of a reply that broke off in transport


@dataclass(frozen=True)
class Request:
    """One prompt with its sampling; `prompt` is text for a completion, (role, content) pairs for a chat.

    `model` is empty for the client's own. `schema` is the JSON schema that a chat's reply should follow: it is sent
    where the endpoint takes one, and the prompt asks for the same in words.
    """

    kind: Literal["completion", "chat"]
    prompt: str | tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    prompt_version: str = ""
    model: str = ""
    schema: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `as_dict` gave, also after a journey through JSON."""
        prompt = values["prompt"]
        if not isinstance(prompt, str):
            prompt = tuple((role, content) for role, content in prompt)
        return cls(**{**values, "prompt": prompt, "stop": tuple(values["stop"])})


@dataclass(frozen=True)
class Reply:
    """What came back of one attempt; `error` is a sentence and null on success.

    `usage_source`: server (counted there), estimated (from bytes), unknown (it may have been charged, nobody
    said how much), none (nothing was charged). `fatal` errors will meet every other call too.
    """

    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_source: Literal["server", "estimated", "unknown", "none"] = "none"
    finish_reason: str | None = None
    latency_s: float = 0.0
    error: str | None = None
    error_kind: ErrorKind | None = None
    retryable: bool = False
    retry_after_s: float | None = None

    @property
    def partial(self) -> bool:
        """Whether the text broke off in transport: what is there was paid for and may be used."""
        return self.error is None and self.finish_reason == CUT

    @property
    def overloaded(self) -> bool:
        """Whether the endpoint says that it has too much to do."""
        return self.error_kind in ("rate", "overload")

    @property
    def fatal(self) -> bool:
        """Whether no other call can succeed either: a wrong key, an empty account, an unknown model."""
        return self.error_kind in ("key", "quota", "model")


class Sender(Protocol):
    """Whatever answers requests: an endpoint, its batch API, the embedded server, recorded candidates."""

    @property
    def endpoint(self) -> str:
        """Address for the ledger, without credentials."""

    @property
    def patient(self) -> bool:
        """Whether replies may take hours: then a run that is asked to stop does not wait for them."""

    async def abandon(self) -> None:
        """Give up what is on its way, for the run was cancelled."""

    async def send(self, request: Request, name: str) -> Reply:
        """One attempt. `name` is unique to it in its run and the same after a restart."""

    def holds(self, name: str) -> bool:
        """Whether an attempt of this name is on its way already, from before a restart."""
