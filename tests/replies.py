"""What a loopback server answers in the place of a model: the form that a prompt asks for, filled from our seeds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from sedi_engine.seeds import library_seeds
from tests.loopback import BROKEN, HALF_A_REPLY, RATE_LIMITED, WRONG_JSON, Answer, Asked, Fault

FAULTS = (RATE_LIMITED, BROKEN, HALF_A_REPLY, WRONG_JSON)


def task(rng: random.Random) -> str:
    first, second = rng.sample([seed.instruction.split() for seed in library_seeds()], 2)
    return " ".join(first[: len(first) // 2 + 1] + second[len(second) // 2 :])


def answering(fault_share: float = 0.0) -> Callable[[Asked], Answer | Fault]:
    """A generator that does what it is asked, and fails at random."""

    def answer(asked: Asked) -> Answer | Fault:
        rng = random.Random(asked.number)
        if rng.random() < fault_share:
            return rng.choice(FAULTS)
        return Answer(reply(asked.prompt, rng))

    return answer


def reply(prompt: str, rng: random.Random) -> str:
    if '{"tasks"' in prompt:
        whole = '"output"' in prompt
        parts = ("instruction", "input", "output") if whole else ("instruction",)
        return json.dumps({"tasks": [{part: task(rng) for part in parts} for _ in range(8)]})
    if "Instruction:" in prompt:
        tasks = (f"{n}. Instruction: {task(rng)}\nInput: <noinput>\nOutput: {task(rng)}" for n in range(4, 12))
        return "\n###\n".join(tasks)
    if "\n1. " in prompt or prompt.startswith("1. "):
        return "\n".join(f"{number}. {task(rng)}" for number in range(4, 12))
    return f"Output: {task(rng)}"
