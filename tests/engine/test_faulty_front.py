"""The real llama.cpp server behind a front that fails 30 % of the requests: the run completes, all is counted."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from sedi_engine import keys, models
from sedi_engine.config import RunConfig
from sedi_engine.generator.embedded import EmbeddedServer
from sedi_engine.jobs import Manager
from store import runs
from store.database import Store
from tests.loopback import (
    BROKEN,
    HALF_A_REPLY,
    HANGS,
    KEY,
    RATE_LIMITED,
    WRONG_JSON,
    Answer,
    Asked,
    Fault,
    LoopbackServer,
)

pytestmark = pytest.mark.weights
KEY_NAME = "FRONT_TEST_KEY"
# of ten requests these three fail, each time in another way; a stall costs a whole time-out, so there are few
FAILING = (1, 4, 8)
FAULTS = (RATE_LIMITED, WRONG_JSON, BROKEN, HALF_A_REPLY, RATE_LIMITED, HANGS, BROKEN, WRONG_JSON, HALF_A_REPLY)
PRICES = {"generator.price_in_usd_per_mtok": 2.0, "generator.price_out_usd_per_mtok": 6.0}


class Front:
    """Passes requests on to the model, or fails; `charged` is what the model counted for replies that went out."""

    def __init__(self, model: EmbeddedServer) -> None:
        self._model, self._lock = model, threading.Lock()
        self.charged, self.faults = Counter[str](), 0

    def __call__(self, asked: Asked) -> Answer | Fault:
        if asked.number % 10 in FAILING:
            with self._lock:
                self.faults += 1
                return FAULTS[(self.faults - 1) % len(FAULTS)]
        return self._passed_on(asked)

    def _passed_on(self, asked: Asked) -> Answer:
        path = "/completions" if asked.kind == "completion" else "/chat/completions"
        headers = {"Authorization": f"Bearer {self._model.api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._model.base_url + path, json.dumps(asked.body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            said = json.loads(response.read())
        choice, usage = said["choices"][0], said["usage"]
        counts = (usage["prompt_tokens"], usage["completion_tokens"])
        with self._lock:
            self.charged.update(prompt=counts[0], completion=counts[1])
        text = choice["text"] if asked.kind == "completion" else choice["message"]["content"]
        return Answer(text, choice["finish_reason"], counts)


@pytest.fixture
def front(store: Store) -> Iterator[Front]:
    with EmbeddedServer(models.ensure_weights().gguf, 4) as model:
        yield Front(model)


def test_a_run_over_a_failing_front_completes_and_the_ledger_is_what_the_model_counted(
    front: Front, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    manager = Manager(store)
    try:
        with LoopbackServer(front) as server:
            config = RunConfig.load(
                "quick",
                {
                    "generator.kind": "endpoint",
                    "generator.base_url": server.base_url,
                    "generator.api_key_env": KEY_NAME,
                    "generator.api": "completion",
                    "generator.timeout_s": 45,
                    "generator.max_concurrency": 4,
                    "generator.max_output_tokens": 64,
                    "prompts.instructions": "instruction_list.v1",
                    "prompts.output": "output.v1",
                    "filter.threshold": 1.0,
                    "compose.batches_per_window": 3,
                    "train.model": "none",
                    "feedback.mode": "off",
                    **PRICES,
                },
            )
            run_id = manager.start(config, keys.callers_own(config.generator))
            assert manager.wait(run_id, 400)
        found = store.read(runs.summary, run_id)
    finally:
        manager.close()
    assert found is not None
    assert found["status"] == "completed", found["error"]
    assert found["asked"] == found["parsed"] + found["failed"]
    assert found["parsed"] == found["kept"] + sum(found["dropped"].values())
    assert front.faults >= 6
    assert [found["prompt_tokens"], found["completion_tokens"]] == [
        front.charged["prompt"],
        front.charged["completion"],
    ]
    assert found["cost_usd"] == pytest.approx((2.0 * front.charged["prompt"] + 6.0 * front.charged["completion"]) / 1e6)
