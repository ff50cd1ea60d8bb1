"""The desk: every command states the role it takes, and refuses in words before anything happens."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from sedi_engine.access import ROLES, Person
from sedi_engine.config import RunConfig
from sedi_engine.curation.settings import Curation
from sedi_engine.desk import Desk, Part
from sedi_engine.errors import AccessError
from sedi_engine.exports.recording import OURS
from sedi_engine.service import Service
from store import decisions
from store.connection import fetch
from store.curation import Press
from store.database import Cursor, Store
from store.review import Wanted
from tests.pages.builder import in_review

READS = {
    "runs.estimate",
    "imports.get",
    "imports.completed",
    "imports.streams",
    "exports.rows",
    "exports.adapter",
    "exports.recording",
}
DECIDES = ("decisions.", "review.", "map.update")
WANTED = Wanted(run_id="r1", queue="new", me="ana", lapsed=datetime(2026, 1, 1))
PROPOSAL = "r1-promote-r1-0-0-1"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = Service(tmp_path_factory.mktemp("data"))
    in_review(opened)
    yield opened
    opened.close()


def commands(desk: Desk) -> dict[str, Callable[..., Any]]:
    """Every public method of every part, by name."""
    parts = {name: part for name, part in vars(desk).items() if isinstance(part, Part)}
    return {
        f"{subject}.{name}": getattr(part, name)
        for subject, part in parts.items()
        for name in dir(type(part))
        if not name.startswith("_") and callable(getattr(type(part), name))
    }


def desk_of(service: Service, role: Any, name: str = "ana") -> Desk:
    return Desk(service, Person(name, role))


def everything(store: Store) -> dict[str, Any]:
    """A fingerprint of every table, and the files beside them."""

    def tables(cursor: Cursor) -> dict[str, Any]:
        names = [row["table_name"] for row in fetch(cursor, "SELECT table_name FROM duckdb_tables()")]
        sums = "SELECT count(*) AS rows, bit_xor(hash(t)) AS content FROM {} t"
        return {name: fetch(cursor, sums.format(f'"{name}"')) for name in names}

    files = sorted(str(path) for path in store.folder.rglob("*") if path.suffix != ".wal")
    return {**store.read(tables), "files": files}


def test_every_command_states_its_role(service: Service) -> None:
    found = commands(desk_of(service, "viewer"))
    assert set(found) >= READS
    assert [name for name, command in found.items() if getattr(command, "needs", None) not in ROLES] == []
    assert {name for name, command in found.items() if command.needs == "viewer"} == READS
    deciding = {name for name, command in found.items() if command.needs == "annotator"}
    assert deciding and all(name.startswith(DECIDES) for name in deciding)
    assert all(command.doing != "this" for name, command in found.items() if name not in READS)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_gets_a_command_above_the_role_and_nothing_happens(service: Service, role: Any) -> None:
    before = everything(service.store)
    for name, command in commands(desk_of(service, role)).items():
        if ROLES.index(command.needs) > ROLES.index(role):
            with pytest.raises(AccessError, match=rf"ana is an? {role}; {command.doing} takes an? {command.needs}\."):
                command()
        elif name != "imports.streams":  # the check has let it through: now it lacks its arguments
            with pytest.raises(TypeError, match="missing"):
                command()
    assert everything(service.store) == before


def orders() -> dict[str, tuple[Any, ...]]:
    """Arguments with which a researcher's command would do something."""
    demo = RunConfig.load("demo")
    endpoint = RunConfig.load("quick", {"generator.kind": "endpoint", "generator.base_url": "http://127.0.0.1:9/v1"})
    tasks = io.BytesIO(b'{"instruction": "Name a tree", "output": "Oak"}')
    return {
        "runs.start": (demo,),
        "runs.resume": ("r1",),
        "runs.cancel": ("r1",),
        "runs.generate_here": ("r1", ["own_001"]),
        "runs.play": (OURS, OURS.name),
        "decisions.of_proposal": (PROPOSAL, "accept"),
        "decisions.of_candidates": (["r1-0-0"], "use_as_seed"),
        "review.take": ("r1", [Press(press="p1", subject="candidate:r1-0-0", key="reject")]),
        "review.decide_together": (["candidate:r1-0-1"], "reject"),
        "review.of_seeds": (["own_001"], "reject"),
        "review.swap": (PROPOSAL, "r1-0-1"),
        "review.hold": (WANTED, ["candidate:r1-0-1"]),
        "runs.make_blind_test": ("r1", 2, 0),
        "settings.save_curation": (Curation(guidelines="Be kind."),),
        "prompts.examine": (endpoint,),
        "imports.start": (tasks, "tasks.jsonl", "seeds"),
        "map.update": ("r1",),
        "map.refit": ("r1",),
        "settings.save_preset": ("mine", demo),
        "settings.save_template": ("output_mine", "{{instruction}}", "output"),
    }


def test_a_viewer_changes_nothing_with_orders_that_would_do_something(service: Service) -> None:
    found, before = commands(desk_of(service, "viewer")), everything(service.store)
    for name, arguments in orders().items():
        with pytest.raises(AccessError):
            found[name](*arguments)
    assert everything(service.store) == before
    assert service.maps.progress.doing is None


def test_an_annotator_decides_under_the_own_name_and_starts_nothing(service: Service) -> None:
    found = commands(desk_of(service, "annotator", "ben"))
    runs_before = everything(service.store)["run"]
    for name, arguments in orders().items():
        if name.startswith("decisions."):
            found[name](*arguments)
        elif not name.startswith(DECIDES):
            with pytest.raises(AccessError, match="ben is an annotator"):
                found[name](*arguments)
    assert everything(service.store)["run"] == runs_before
    rows = service.store.read(decisions.of_run, "r1")
    assert {(row["decision"], row["by"]) for row in rows if row["proposal_id"] == PROPOSAL} == {("accept", "ben")}
    written = 'SELECT DISTINCT "by" FROM decision'
    assert [row["by"] for row in service.store.read(fetch, written)] == ["ben"]


def test_a_researcher_saves_and_plays(service: Service) -> None:
    desk = desk_of(service, "researcher", "cyd")
    assert desk.settings.save_preset("mine", RunConfig.load("demo")).is_file()
    run_id = desk.runs.play(OURS, OURS.name)
    by = 'SELECT "by" FROM recording WHERE run_id = ?'
    assert service.store.read(fetch, by, [run_id]) == [{"by": "cyd"}]


def test_what_a_page_reads_from_cannot_write(service: Service) -> None:
    store = desk_of(service, "researcher").store
    assert not isinstance(store, Store)
    assert {name for name in dir(store) if name[0] != "_"} == {"cursor", "folder", "read"}
