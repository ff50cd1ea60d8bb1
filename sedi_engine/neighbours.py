"""The tasks of a run nearest to one of them: by embedding, and by ROUGE-L."""

from __future__ import annotations

from typing import Any

import numpy as np
from rapidfuzz.distance import Indel

from sedi_engine.filters.rouge import Tokenizer, tokenize
from store import map_view, maps, views
from store.database import Reader

SHOWN = 6
EMBEDDING, ROUGE = "cosine of embeddings", "ROUGE-L F1"


def neighbours(store: Reader, run_id: str, subject: str) -> dict[str, list[dict[str, Any]]]:
    """Up to SHOWN nearest under each measure, with `score`, `subject`, `status` and `instruction`, nearest first."""
    rows = store.read(map_view.frame, run_id)
    own = np.flatnonzero(rows["subject"] == subject)
    settings = store.read(views.settings, run_id)
    if not len(own) or settings is None:
        return {EMBEDDING: [], ROUGE: []}
    _, vectors = store.read(maps.vectors, rows["subject"].tolist())
    overlap = overlaps(rows["instruction"][own[0]], rows["instruction"], settings["filter"]["tokenizer"])
    return {EMBEDDING: _best(rows, vectors @ vectors[own[0]], own[0]), ROUGE: _best(rows, overlap, own[0])}


def overlaps(text: str, others: Any, tokenizer: Tokenizer) -> np.ndarray:
    """ROUGE-L F1 of a text to each of the others: 2·LCS / (m + n), 0 where a side has no tokens."""
    own = tokenize(text, tokenizer)
    tokens = [tokenize(other, tokenizer) for other in others]
    return np.array([Indel.normalized_similarity(own, other) if own and other else 0.0 for other in tokens])


def _best(rows: Any, scores: np.ndarray, own: int) -> list[dict[str, Any]]:
    order = [at for at in np.argsort(-scores, kind="stable")[: SHOWN + 1] if at != own][:SHOWN]
    return [{"score": float(scores[at]), **rows.iloc[at][["subject", "status", "instruction"]]} for at in order]
