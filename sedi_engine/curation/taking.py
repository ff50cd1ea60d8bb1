"""Taking in what a person pressed: edits are judged by the filter, everything is stored in the order of the presses."""

from __future__ import annotations

from collections.abc import Sequence

from sedi_engine.curation.editing import checked, edited
from sedi_engine.errors import StudioError
from sedi_engine.mapping.job import Maps
from store import curation, edits
from store.curation import Heard, Press
from store.database import Cursor, Store


def take(store: Store, maps: Maps, by: str, run_id: str, presses: Sequence[Press]) -> list[Heard]:
    """What each press became, in order; one that cannot be taken says why, and those after it are taken."""
    heard: list[Heard] = []
    waiting: list[Press] = []
    for press in presses:
        if press.key == "edit":
            heard += _plain(store, waiting, by, run_id)
            waiting = []
            heard.append(_edit(store, press, by))
        else:
            waiting.append(press)
    heard += _plain(store, waiting, by, run_id)
    if any(one.decision_id and press.key == "edit" for one, press in zip(heard, presses, strict=True)):
        maps.update(run_id)
    return heard


def _plain(store: Store, presses: Sequence[Press], by: str, run_id: str) -> list[Heard]:
    """Presses that need no filter, in one transaction."""
    return store.write(_all, presses, by, run_id) if presses else []


def _all(cursor: Cursor, presses: Sequence[Press], by: str, run_id: str) -> list[Heard]:
    return [curation.take(cursor, press, by, run_id) for press in presses]


def _edit(store: Store, press: Press, by: str) -> Heard:
    if store.read(curation.is_taken, press.press):
        return Heard(press=press.press, subject=press.subject)
    kind, _, ident = press.subject.partition(":")
    try:
        text = checked(press.text or ("", "", ""))
        if kind == "candidate":
            made = edited(store, ident, text)
            return store.write(edits.edit_candidate, made, by, press.queue, press.press)
        if kind == "seed":
            return store.write(edits.edit_seed, ident, text, by, press.press)
        if kind == "proposal":
            return _edit_proposal(store, press, text, by)
        raise StudioError(f"{press.subject} cannot be edited.", "Accept or reject it.")
    except StudioError as error:
        store.write(curation.enter, press.press, None)
        return Heard(press=press.press, subject=press.subject, said=str(error))


def _edit_proposal(store: Store, press: Press, text: tuple[str, str, str], by: str) -> Heard:
    """An edit of what is to be promoted: where the filter keeps it, it is promoted in the place of the original."""
    ident = press.subject.removeprefix("proposal:")
    original = store.read(edits.promoted_candidate, ident)
    if original is None:
        raise StudioError("A seed that is to leave S is not edited.", "Accept or reject the eviction.")
    made = edited(store, original, text)
    return store.write(edits.edit_promotion, ident, made, by, press.queue, press.press)
