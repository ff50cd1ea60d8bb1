"""The journal: what was written before a kill, at any byte, is there after it; the rest is asked again."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sedi_engine.generator.journal import CallKey, Journal, calls
from sedi_engine.generator.request import Request
from store.records import Call

REQUEST = Request("chat", (("user", "Zähle.\nBis drei."),), max_tokens=5, temperature=0.5, stop=("\n4.",), seed=1)


def call(
    index: int, *, position: int = -1, attempt: int = 0, reply: str | None = None, error: str | None = None
) -> Call:
    return Call(
        run_id="r",
        call_index=index,
        stage="instruction" if position < 0 else "output",
        position=position,
        attempt=attempt,
        iteration=0,
        model="m",
        endpoint="e",
        prompt_version="v1",
        asked=8,
        raw_reply=reply,
        error=error,
    )


def test_a_reply_is_answered_and_a_lost_one_is_unanswered_with_its_request(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs" / "r" / "replies.jsonl")
    journal.sent(call(0), REQUEST)
    journal.reply(call(0, reply="one\u2028 two\n"))
    journal.sent(call(0, position=3), REQUEST)
    journal.sent(call(1), REQUEST)
    journal.close()
    answers = Journal(tmp_path / "runs" / "r" / "replies.jsonl").load()
    assert answers.answered == {CallKey(0, "instruction", -1): call(0, reply="one\u2028 two\n")}
    assert answers.unanswered == {
        CallKey(0, "output", 3): (call(0, position=3), REQUEST),
        CallKey(1, "instruction", -1): (call(1), REQUEST),
    }
    assert answers.returned == {CallKey(0, "instruction", -1)}
    assert answers.last_index == 1


def test_attempts_are_counted_and_the_usable_one_stands(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "replies.jsonl")
    for attempt, answer in enumerate([call(0, error="busy"), call(0, attempt=1, reply="fine")]):
        journal.sent(call(0, attempt=attempt), REQUEST)
        journal.reply(answer)
    answers = journal.load()
    key = CallKey(0, "instruction", -1)
    assert answers.attempts[key] == 2
    assert answers.answered[key].raw_reply == "fine"
    assert not answers.unanswered
    assert [one.attempt for one in calls(tmp_path / "replies.jsonl")] == [0, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_kill_at_any_byte_loses_at_most_the_line_being_written(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "replies.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    for index in range(3):
        journal.sent(call(index), REQUEST)
        journal.reply(call(index, reply=f"ü {index}"))
    journal.close()
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n")

    assert [one.call_index for one in calls(path)] == list(range(lines // 2)), "the owner may read before the repair"
    again = Journal(path)
    answers = again.load()
    assert len(answers.answered) == lines // 2
    assert len(answers.unanswered) == lines % 2
    again.reply(call(7, reply="after"))
    again.close()
    assert [one.call_index for one in calls(path)] == [*range(lines // 2), 7]
