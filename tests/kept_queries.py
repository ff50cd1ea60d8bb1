"""Every query whose answer a store keeps, with arguments to ask it for a run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

import store as package
from store import estimates, history, imports, map_view, maps, recordings, seeds, training, views
from store.database import Store
from store.kept import SCOPE
from tests.story import Story

Asked = tuple[Callable[..., Any], tuple[Any, ...]]


def of_run(run_id: str) -> list[Asked]:
    """Each query that shows a run, or what no event of another run changes."""
    queries = (
        history.provenance, recordings.is_recording, seeds.of_run, training.steps, training.batches,
        training.hardware, views.overview, views.judged_calls, views.warnings, views.no_proposal_reasons,
        views.proposals, views.seeds_after, views.settings,
    )  # fmt: skip
    more = [(training.members, (run_id, 1)), (training.steps, (run_id, 2)), (views.seeds_after, (run_id, True))]
    return [*((query, (run_id,)) for query in queries), *more]


def of_all(run_id: str) -> list[Asked]:
    """Each query that shows more than one run."""
    generator = Story(run_id).config.generator.model_dump()
    return [
        (estimates.history, (generator,)), (history.history, ()), (imports.listed, ()), (map_view.mark, (run_id,)),
        (maps.current, ()), (maps.embedded, ()), (seeds.library, ()), (views.run_list, ()),
        (views.library, ("", 1000)), (views.library, ("", 1000, False)), (views.library_size, ()),
    ]  # fmt: skip


def marked() -> set[Callable[..., Any]]:
    """The queries of the store that are marked as kept."""
    folder = Path(package.__file__).parent
    modules = [import_module(f"store.{path.stem}") for path in folder.glob("*.py") if path.stem != "__init__"]
    return {one for module in modules for one in vars(module).values() if callable(one) and hasattr(one, SCOPE)}


def out_of_date(store: Store, asked: list[Asked]) -> list[str]:
    """The queries whose kept answer is not what the store says now."""

    def now(query: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        with store.cursor() as cursor:
            return query(cursor, *args)

    return [f"{query.__module__}.{query.__name__}{args}" for query, args in asked
            if not _same(store.read(query, *args), now(query, args))]  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and one and isinstance(one[0], dict):
        return pd.DataFrame(one).equals(pd.DataFrame(other))  # a norm may be no number, which equals nothing
    return bool(one == other)
