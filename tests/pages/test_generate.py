from __future__ import annotations

import json
from pathlib import Path

import pytest

from sedi_engine import presets
from sedi_engine.config import RunConfig
from sedi_engine.service import Service
from store import runs, views
from tests.pages.builder import begin, in_review, window
from tests.pages.conftest import Open
from tests.story import Story


def rows(app, key: str) -> list[dict]:
    frame = next(node for node in app.get_by_key(key) if node.type == "dataframe").value
    return json.loads(frame.to_json(orient="records"))


def test_the_form_is_drawn_from_the_model(show: Open) -> None:
    app = show("generate")
    assert set(app.selectbox(key="generate_preset").options) == set(presets.built_in())
    threshold = app.number_input(key="generate_filter_threshold")
    assert (threshold.value, threshold.proto.max) == (0.85, 1.0)
    assert "ROUGE-L" in threshold.proto.help
    assert app.number_input(key="generate_budget_max_usd").value is None


def test_choosing_a_preset_lays_it_into_the_form(show: Open) -> None:
    app = show("generate")
    app.selectbox(key="generate_preset").select("quick").run()
    quick = RunConfig.load("quick")
    assert app.number_input(key="generate_compose_batch_size").value == quick.compose.batch_size
    assert app.number_input(key="generate_iterations").value == quick.iterations


def test_the_estimate_follows_the_form(show: Open) -> None:
    app = show("generate")
    before = [metric.value for metric in app.metric]
    app.number_input(key="generate_iterations").set_value(30).run()
    after = [metric.value for metric in app.metric]
    assert len(before) == 5
    assert before[0] != after[0]


def test_settings_that_contradict_each_other_are_a_card_and_cannot_start(show: Open) -> None:
    app = show("generate")
    app.number_input(key="generate_target_kept").set_value(2).run()
    assert any("compose.batch_size is 8, larger than target_kept (2)" in text.value for text in app.text)
    assert "generate_start" not in [button.key for button in app.button]


def test_the_counts_on_screen_add_up(show: Open, service: Service) -> None:
    story = in_review(service)
    counts = {row["count"]: row["tasks"] for row in rows(show("generate"), "generate_count_rows")}
    failed = sum(number for name, number in counts.items() if name.startswith("failed: "))
    dropped = sum(number for name, number in counts.items() if name.startswith("dropped: "))
    assert counts["asked"] == counts["parsed"] + failed
    assert counts["parsed"] == counts["kept"] + dropped
    assert counts["kept"] == service.store.read(runs.summary, story.run_id)["kept"] > 0


def test_the_feed_shows_the_newest_first_with_reason_and_nearest_text(show: Open, service: Service) -> None:
    story = in_review(service)
    feed = rows(show("generate"), "generate_feed")
    assert len(feed) == service.store.read(runs.summary, story.run_id)["parsed"]
    assert feed[0]["candidate"] == "r1-5-7"
    similar = next(row for row in feed if row["reason"] == "similar")
    assert similar["max ROUGE-L"] == 0.91
    assert similar["nearest text"] == service.store.read(views.library, "", 1)[0]["instruction"]


def test_a_look_reads_only_what_is_new_and_loses_nothing(service: Service) -> None:
    from pages.ui.live import Tail

    story, seen = Story(), Tail("r1")
    begin(service.store, story)
    for event in [*window(story, 1), *window(story, 2)]:
        story.tell(service.store, event)
        seen.refresh(service.store, service.store.read(views.pulse, "r1")["iteration"])
    fresh = Tail("r1")
    fresh.refresh(service.store, 0)
    assert [row["candidate_id"] for row in seen.feed] == [row["candidate_id"] for row in fresh.feed]
    assert seen.steps == fresh.steps
    assert sum(step["attractive"] for step in seen.steps) == 2


def test_steps_trained_again_replace_those_before(service: Service) -> None:
    from pages.ui.live import Tail
    from store import steps

    story, seen = Story(), Tail("r1")
    begin(service.store, story)
    story.tell(service.store, *window(story, 1)[:-1])
    seen.refresh(service.store, 0)
    assert len(seen.steps) == 4
    service.store.write(steps.supersede, "r1", 1)
    story.tell(service.store, story.step(1, 1, attempt=1))
    seen.refresh(service.store, 0)
    assert [step["step"] for step in seen.steps if not step["superseded"]] == [1]
    assert len(seen.steps) == 5


def test_buttons_are_offered_where_they_can_act(show: Open, service: Service) -> None:
    offered = {}
    for status in ("running", "paused", "completed", "failed"):
        begin(service.store, Story(status), status)
        app = show("generate", status)
        nouns = ("pause", "resume", "cancel", "next")
        offered[status] = {noun for noun in nouns if not app.button(key=f"generate_{noun}").disabled}
    assert offered["running"] == {"pause", "cancel"}
    assert offered["paused"] == {"resume", "cancel"}
    assert offered["completed"] == {"next"}
    assert offered["failed"] == {"resume"}


def test_a_refused_start_is_a_card_with_the_next_step(
    show: Open, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEDI_CACHE", str(tmp_path / "nothing"))
    app = show("generate")
    app.button(key="generate_start").click().run()
    card = [text.value for text in app.text if "weights are not on this machine" in text.value]
    assert "Next: Run `python -m sedi_engine up` once" in card[0]
    assert service.store.read(runs.run_ids) == []


def test_cancelling_a_paused_run_is_seen_at_once(show: Open, service: Service) -> None:
    begin(service.store, Story(), "paused")
    app = show("generate")
    app.button(key="generate_cancel").click().run()
    assert service.store.read(views.pulse, "r1")["status"] == "cancelled"
    assert app.button(key="generate_cancel").disabled
