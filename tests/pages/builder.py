"""Runs for the pages, told with the events of a worker."""

from __future__ import annotations

import numpy as np

from sedi_engine.seeds import library_seeds
from sedi_engine.service import Service
from store import maps, runs, seeds
from store.database import Store
from store.events import Event, SeedCredit
from store.records import Proposal
from tests.story import Story

SEEDS = tuple(seed.seed_id for seed in library_seeds()[:24])
REASONS = (None, None, "similar", None, "short", None, "no_output", None)
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "![leak]({url}/markdown.png)",
    "[go](javascript:alert(1)) <a href='{url}/link'>link</a>",
    "<span style=\"background:url('{url}/style.png')\">styled</span> $x^2$ :red[red] %{{x}}",
)


def begin(store: Store, story: Story, status: str = "running") -> None:
    store.write(seeds.add, library_seeds(), True)
    store.write(runs.create, story.run_id, story.config.model_dump(), "print", 0)
    store.write(seeds.start_run, story.run_id, list(SEEDS))
    store.write(runs.set_status, story.run_id, status)


def window(story: Story, number: int, calls: int = 6, texts: tuple[str, ...] = ()) -> list[Event]:
    """The events of one window: calls with kept and dropped candidates, batches of 4, steps, credits, proposals."""
    first, kept, events = (number - 1) * calls, [], []
    for index in range(first, first + calls):
        events.append(story.call(index, iteration=number, cost_usd=0.0, asked=10, demo_seed_ids=SEEDS[:3]))
        found = [_candidate(story, number, index, place, texts) for place in range(len(REASONS))]
        kept += [one.candidate_id for one in found if one.verdict == "kept"]
        events.append(story.judged(index, *found, iteration=number, failed={"missing": 1, "unparseable": 1}))
    size = story.config.compose.batch_size
    batches = [tuple(kept[at : at + size]) for at in range(0, len(kept) // size * size, size)][:4]
    step = 4 * (number - 1)
    events.append(story.composed(number, *batches, first_step=step + 1))
    events += [story.step(number, step + at, *members) for at, members in enumerate(batches, 1)]
    proposals = (
        *(_promote(story, number, kept[at]) for at in range(2)),
        *(_evict(story, number, at) for at in range(2)),
    )
    credits = tuple(SeedCredit(seed_id=ident, credit=0.1, credit_sum=0.4, calls=1) for ident in SEEDS)
    members = tuple(name for batch in batches for name in batch)
    more = {"attractive_step": step + 4, "heldout_loss": 2.5, "credits": credits}
    return [*events, story.finished(number, members, *proposals, **more)]


def in_review(service: Service, texts: tuple[str, ...] = (), run_id: str = "r1") -> Story:
    """A run that waits for decisions after its first window."""
    story = Story(run_id, **{"feedback.mode": "review"})
    begin(service.store, story)
    story.tell(service.store, *window(story, 1, texts=texts))
    service.store.write(runs.set_status, run_id, "waiting_for_review")
    return story


def _candidate(story: Story, number: int, index: int, place: int, texts: tuple[str, ...]):
    reason = REASONS[place]
    more = {"iteration": number}
    if texts:
        more |= {"instruction": f"{texts[place % len(texts)]} {index} {place}", "input": texts[0], "output": texts[-1]}
    if reason == "similar":
        more |= {"max_rouge_l": 0.91, "nearest_id": SEEDS[0], "nearest_source": "seed"}
    return story.candidate(index, place, reason, **more)


def _promote(story: Story, number: int, ident: str) -> Proposal:
    evidence = {
        "step": 4,
        "batch_signal": "grad_norm",
        "batch_value": 4.0,
        "window_grad_norm": [1.0, 2.0, 3.0, 4.0],
        "loss": 3.1,
        "loss_rank": 2,
        "loss_limit": 3.4,
        "nearest_seed_rouge_l": 0.55,
    }
    return story.proposal("promote", ident, number).model_copy(update={"evidence": evidence})


def _evict(story: Story, number: int, at: int) -> Proposal:
    evidence = {"credit": -0.4, "sum_z": -2.0, "calls": 2, "children": 6, "origin": "own", "seeds_active": 24}
    return story.proposal("evict", SEEDS[2 * number + at], number).model_copy(update={"evidence": evidence})


def explored(store: Store, run_id: str = "r1", windows: int = 3, texts: tuple[str, ...] = ()) -> Story:
    """A completed run of several windows, with everything on a map whose vectors are made up."""
    story = Story(run_id)
    begin(store, story)
    for number in range(1, windows + 1):
        story.tell(store, *window(story, number, texts=texts))
    store.write(runs.set_status, run_id, "completed")
    on_map(store, run_id)
    return story


def on_map(store: Store, run_id: str) -> None:
    """Give every task a made-up vector and a place."""
    subjects = [row["subject"] for row in store.read(maps.without_vector, run_id)]
    random = np.random.default_rng(0)
    vectors = random.normal(size=(len(subjects), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.write(maps.add_vectors, subjects, vectors, "made up")
    points = random.normal(size=(len(subjects), 2))
    store.write(maps.begin_version, subjects, points, "umap", 0, 0.5, None)
