"""The shipped seed and held-out tasks: their form, their variety, and no near-duplicates among them."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

DATA = Path(__file__).parents[2] / "sedi_engine/data"
MAX_ROUGE_L = 0.5
BLOCKED = re.compile(
    r"\b(images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b",
    re.IGNORECASE,
)


def read(name: str) -> list[dict]:
    """The records of one JSONL file."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


SEEDS, HELDOUT = read("seeds.jsonl"), read("heldout.jsonl")
TASKS = SEEDS + HELDOUT
both = pytest.mark.parametrize("tasks", [SEEDS, HELDOUT], ids=["seeds", "heldout"])
each = pytest.mark.parametrize("task", TASKS, ids=[task["id"] for task in TASKS])


def test_counts_and_ids() -> None:
    assert [task["id"] for task in SEEDS] == [f"own_{n:03d}" for n in range(1, 176)]
    assert [task["id"] for task in HELDOUT] == [f"heldout_{n:02d}" for n in range(1, 65)]
    assert len({task["name"] for task in TASKS}) == len(TASKS)


@each
def test_record_form(task: dict) -> None:
    assert list(task) == ["id", "name", "instruction", "instances", "is_classification"]
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", task["name"])
    assert isinstance(task["is_classification"], bool)
    (instance,) = task["instances"]
    assert list(instance) == ["input", "output"]
    for text in (task["instruction"], *instance.values()):
        assert isinstance(text, str) and text == text.strip()


@each
def test_passes_the_filters(task: dict) -> None:
    instruction, (instance,) = task["instruction"], task["instances"]
    assert 3 < len(instruction.split()) <= 150
    assert not BLOCKED.search(instruction)
    assert not instruction.startswith("Write a program")
    assert instruction[0].isascii() and instruction[0].isalnum()
    assert instance["output"] not in ("", instance["input"])
    assert not instance["input"].endswith(":") and not instance["output"].endswith(":")


@both
def test_variety(tasks: list[dict]) -> None:
    first_words = {re.match(r"[\w'-]+", task["instruction"])[0].lower() for task in tasks}
    assert len(first_words) >= 50
    assert 0.12 <= sum(task["is_classification"] for task in tasks) / len(tasks) <= 0.18
    assert 0.25 <= sum(not task["instances"][0]["input"] for task in tasks) / len(tasks) <= 0.35


def test_no_two_instructions_are_alike() -> None:
    """ROUGE-L, seeds and held-out together; shared words bound it from above, so few pairs need the score."""
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    bags = {task["id"]: Counter(tokenize(task["instruction"], None)) for task in TASKS}
    for one, two in combinations(TASKS, 2):
        a, b = bags[one["id"]], bags[two["id"]]
        if 2 * (a & b).total() / (a.total() + b.total()) <= MAX_ROUGE_L:
            continue
        score = scorer.score(one["instruction"], two["instruction"])["rougeL"].fmeasure
        assert score <= MAX_ROUGE_L, (one["id"], two["id"], score)
