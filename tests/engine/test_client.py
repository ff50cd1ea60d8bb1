"""The client against a real server on loopback: what comes back, what goes wrong, and what never gets out."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.errors import GeneratorError
from sedi_engine.generator import client as client_module
from sedi_engine.generator.body import read_reply
from sedi_engine.generator.client import Client
from sedi_engine.generator.request import Reply, Request
from tests.loopback import (
    BROKEN,
    HALF_A_REPLY,
    HANGS,
    KEY,
    RATE_LIMITED,
    WRONG_JSON,
    Answer,
    Answering,
    Fault,
    LoopbackServer,
    in_order,
)

COMPLETION = Request("completion", "Once", max_tokens=9, temperature=0.5, top_p=0.9, stop=("7.",), seed=3)
CHAT = Request("chat", (("system", "Be brief."), ("user", "Hello")), max_tokens=9, temperature=0.5)


def send(
    answering: Answering, request: Request = COMPLETION, *, key: str | None = KEY, timeout_s: float = 20.0
) -> tuple[Reply, LoopbackServer]:
    async def once() -> Reply:
        async with Client(server.base_url, "tiny", api_key=key, timeout_s=timeout_s, max_concurrency=2) as client:
            return await client.send(request)

    with LoopbackServer(answering) as server:
        return asyncio.run(once()), server


def test_a_completion_comes_back_with_text_tokens_and_time() -> None:
    reply, server = send(in_order(Answer(" upon a time", "length", (11, 4))))
    assert (reply.text, reply.finish_reason, reply.error) == (" upon a time", "length", None)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.usage_source) == (11, 4, "server")
    assert reply.latency_s > 0
    body = server.asked[0].body
    assert body == {
        "model": "tiny",
        "prompt": "Once",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["7."],
        "seed": 3,
    }


def test_a_chat_sends_its_messages_and_reads_the_message() -> None:
    reply, server = send(in_order("Hi."), CHAT)
    assert reply.text == "Hi."
    assert server.asked[0].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]


def test_tokens_are_estimated_from_bytes_when_the_server_does_not_count() -> None:
    reply, _ = send(in_order(Answer("12345", usage=None)))
    assert (reply.prompt_tokens, reply.completion_tokens, reply.usage_source) == (1, 2, "estimated")


def test_a_refusal_is_a_reply() -> None:
    reply, _ = send(in_order(Answer(None, refusal="I will not.")), CHAT)
    assert (reply.text, reply.finish_reason, reply.error) == ("I will not.", "refusal", None)


@pytest.mark.parametrize(
    ("fault", "kind", "retryable", "fatal", "usage"),
    [
        (RATE_LIMITED, "rate", True, False, "none"),
        (BROKEN, "server", True, False, "unknown"),
        (Fault("status", 503), "overload", True, False, "none"),
        (HALF_A_REPLY, "connection", True, False, "unknown"),
        (WRONG_JSON, "malformed", True, False, "unknown"),
        (Fault("raw", message="[]"), "malformed", True, False, "unknown"),
        (Fault("raw", message='{"choices": [{"text": null}]}'), "malformed", True, False, "unknown"),
        (Fault("raw", message="[" * 100_000), "malformed", True, False, "unknown"),
        (Fault("raw", message="{}", headers={"content-encoding": "gzip"}), "malformed", False, False, "unknown"),
        (Fault("status", 400, "max_tokens is too large"), "request", False, False, "none"),
        (Fault("status", 302, headers={"location": "http://elsewhere.invalid/"}), "address", False, False, "none"),
        (Fault("raw", message="<!doctype html><p>Welcome</p>"), "address", False, False, "unknown"),
        (Fault("status", 404), "model", False, True, "none"),
        (Fault("status", 403), "key", False, True, "none"),
        (Fault("status", 429, code="insufficient_quota"), "quota", False, True, "none"),
    ],
)
def test_a_fault_becomes_a_sentence(fault: Fault, kind: str, retryable: bool, fatal: bool, usage: str) -> None:
    reply, server = send(in_order(fault))
    assert reply.error
    assert reply.error.endswith((".", fault.message))
    assert (reply.error_kind, reply.retryable, reply.fatal, reply.usage_source) == (kind, retryable, fatal, usage)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("", 0, 0)
    assert len(server.asked) == 1, "one send is one attempt"


def test_a_server_that_hangs_is_given_up() -> None:
    reply, _ = send(in_order(HANGS), timeout_s=0.2)
    assert (reply.error, reply.error_kind, reply.retryable) == ("No reply within 0.2 s.", "timeout", True)


def test_a_reply_without_end_is_not_read_to_its_end() -> None:
    size = client_module.LARGEST_REPLY_BYTES + 2**20
    reply, _ = send(in_order(Fault("large", size=size)))
    assert reply.error
    assert (reply.error.endswith("The reply is larger than 10 MB."), reply.retryable) == (True, False)


def test_nobody_at_the_address_is_a_connection_error() -> None:
    with LoopbackServer(in_order("gone")) as server:
        address = server.base_url

    async def once() -> Reply:
        async with Client(address, "tiny", api_key=KEY, timeout_s=5, max_concurrency=1) as client:
            return await client.send(COMPLETION)

    reply = asyncio.run(once())
    assert (reply.error_kind, reply.usage_source, reply.retryable) == ("connection", "none", True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250"}, 0.25), ({"retry-after": "nan"}, None), ({}, None)],
)
def test_the_wait_that_the_server_asks_for_is_told(headers: dict[str, str], seconds: float | None) -> None:
    reply, _ = send(in_order(Fault("status", 429, headers=headers)))
    assert reply.retry_after_s == seconds


def test_a_date_to_wait_for_in_the_past_is_no_wait() -> None:
    date = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    reply, _ = send(in_order(Fault("status", 503, headers=date)))
    assert reply.retry_after_s == 0


@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_key_never_gets_into_an_error(status: int) -> None:
    reply, _ = send(in_order(Fault("status", status, f"the key {KEY} has no such model")))
    assert reply.error
    assert KEY not in reply.error
    assert "***" in reply.error


def test_a_wrong_key_is_fatal_and_not_repeated() -> None:
    reply, _ = send(in_order("never"), key="wrong-key-77")
    assert (reply.error_kind, reply.fatal) == ("key", True)
    assert "wrong-key-77" not in str(reply)


def test_an_address_with_a_password_is_named_without_it() -> None:
    client = Client("http://me:secret@127.0.0.1:9/v1", "m", api_key=KEY, timeout_s=1, max_concurrency=1)
    assert client.endpoint == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(GeneratorError) as caught:
        Client("http://127.0.0.1:9/v1", "m", api_key=key, timeout_s=1, max_concurrency=1)
    assert key not in str(caught.value)


SAID = '{"choices": [{"message": {"content": "1. Name three\\n2. Say \\"hi\\" \\u00e9'


@pytest.mark.parametrize("cut", range(40, len(SAID)))
def test_half_a_reply_is_used_as_far_as_it_goes(cut: int) -> None:
    reply = read_reply(SAID[:cut].encode(), CHAT) if '"content": "1' in SAID[:cut] else None
    if reply:
        assert reply.partial
        assert '1. Name three\n2. Say "hi" é'.startswith(reply.text)
        assert (reply.usage_source, reply.prompt_tokens > 0, reply.completion_tokens > 0) == ("estimated", True, True)


def test_a_connection_that_breaks_off_after_some_text_leaves_the_text() -> None:
    reply, _ = send(in_order(Fault("half", message=SAID)), CHAT)
    assert (reply.text, reply.finish_reason, reply.error) == ('1. Name three\n2. Say "hi" é', "cut", None)


@pytest.mark.parametrize(
    "usage", [(7, -5), (7, 10**9), (10**9, 5), (7, 0), ("7", 5), (7.5, 5), (True, 5), (None, 5), (7, None)]
)
def test_usage_that_cannot_be_true_is_estimated_instead(usage: tuple) -> None:
    reply, _ = send(in_order(Answer("twelve bytes", usage=usage)))
    assert (reply.prompt_tokens, reply.completion_tokens, reply.usage_source) == (1, 3, "estimated")


SCHEMA = {"type": "object", "properties": {"tasks": {"type": "array"}}}


def test_a_schema_is_sent_until_the_endpoint_refuses_it() -> None:
    async def thrice(server: LoopbackServer) -> list[Reply]:
        async with Client(server.base_url, "tiny", api_key=KEY, timeout_s=20, max_concurrency=1) as client:
            return [await client.send(replace(CHAT, schema=SCHEMA)) for _ in range(3)]

    refuses = Fault("status", 400, "response_format json_schema is not supported by this model")
    with LoopbackServer(in_order("{}", refuses, "{}")) as server:
        replies = asyncio.run(thrice(server))
    assert [reply.error_kind for reply in replies] == [None, "schema", None]
    assert replies[1].retryable
    sent = [asked.body.get("response_format", {}).get("type") for asked in server.asked]
    assert sent == ["json_schema", "json_schema", None]
    assert server.asked[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_call_may_ask_another_model() -> None:
    _, server = send(in_order("Hi."), replace(CHAT, model="larger"))
    assert server.asked[0].body["model"] == "larger"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://127.0.0.1:{port}/v1", "does not speak TLS"),
        ("http://no-such-host.invalid/v1", "no such host"),
        ("http://127.0.0.1:1/v1", "nothing listens there"),
    ],
)
def test_an_address_that_cannot_be_reached_says_why(address: str, said: str) -> None:
    async def once() -> Reply:
        async with Client(address.format(port=port), "tiny", api_key=KEY, timeout_s=9, max_concurrency=1) as client:
            return await client.send(COMPLETION)

    with LoopbackServer(in_order("never")) as server:
        port = server.base_url.split(":")[2].removesuffix("/v1")
        reply = asyncio.run(once())
    assert (reply.error_kind, reply.usage_source) == ("connection", "none")
    assert said in (reply.error or "")


def test_half_a_surrogate_pair_in_a_reply_can_be_stored() -> None:
    reply, _ = send(in_order(Answer("a\ud800b\0c")))
    assert reply.text.encode("utf-8").decode("utf-8") == "a?b\ufffdc"


def test_calls_run_side_by_side() -> None:
    async def both(server: LoopbackServer) -> list[Reply]:
        async with Client(server.base_url, "tiny", api_key=KEY, timeout_s=20, max_concurrency=2) as client:
            return await asyncio.gather(client.send(COMPLETION), client.send(COMPLETION))

    together = threading.Barrier(2, timeout=20)

    def answer(_asked: object) -> str:
        together.wait()
        return "both are here"

    with LoopbackServer(answer) as server:
        replies = asyncio.run(both(server))
    assert [reply.text for reply in replies] == ["both are here"] * 2


texts = st.text(max_size=20)
requests = st.builds(
    Request,
    kind=st.just("chat"),
    prompt=st.one_of(texts, st.lists(st.tuples(st.sampled_from(["user", "assistant"]), texts)).map(tuple)),
    max_tokens=st.integers(1, 99),
    temperature=st.floats(0, 2),
    stop=st.lists(texts, max_size=2).map(tuple),
    seed=st.none() | st.integers(0, 99),
    prompt_version=texts,
)


@given(requests)
def test_a_request_survives_json(request: Request) -> None:
    assert Request.from_dict(json.loads(json.dumps(request.as_dict()))) == request
