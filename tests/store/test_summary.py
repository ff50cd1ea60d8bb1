"""The counts that every screen and command shows."""

from __future__ import annotations

from store import runs
from store.database import Store
from tests.story import Story


def test_flags_are_counted_over_what_was_parsed_and_what_was_kept(store: Store) -> None:
    story = Story()
    story.begin(store)
    flagged = (
        story.candidate(0, 0, flags=("unsafe",)),
        story.candidate(0, 1, "similar", flags=("unsafe", "personal_data")),
        story.candidate(0, 2),
    )
    story.tell(store, story.call(0), story.judged(0, *flagged))
    summary = store.read(runs.summary, "r1")
    assert summary is not None
    assert summary["flags"] == {"personal_data": 1, "unsafe": 2}
    assert summary["flags_kept"] == {"personal_data": 0, "unsafe": 1}
    assert (summary["kept"], summary["dropped"]) == (2, {"similar": 1})
