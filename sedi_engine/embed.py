"""Text becomes vectors: a small sentence model that runs on a CPU and loads from its own package, offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedi_engine.errors import WeightsError
from sedi_engine.models import embedder_path

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# On a CPU padding and cache misses make large batches slower than small ones.
CHARACTERS_PER_BATCH = 1024


def example_text(instruction: str, input: str = "") -> str:
    """The text that stands for an example in embedding space: instruction, then its input if it has one."""
    return f"{instruction}\n{input}" if input else instruction


class Embedder:
    """A sentence-transformers model; threads are the caller's to set.

    Takes the packaged all-MiniLM-L6-v2 (384 dimensions, 256 word pieces of a text are read), or another model
    by Hugging Face name or folder. Raises WeightsError when it cannot be loaded.
    """

    def __init__(self, model: str = PACKAGED_MODEL, device: str = "cpu") -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # a command has a bar of its own
        place, is_local = _locate(model)
        try:
            self._model = SentenceTransformer(place, device=device, local_files_only=is_local)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"The embedding model {model!r} cannot be loaded: {error}.",
                f"Name a sentence-transformers folder or model, or take {PACKAGED_MODEL}.",
            ) from error
        self.name = model

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._model.get_embedding_dimension()

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """L2-normalised vectors (len(texts), dimensions), float32, in order; equal texts get equal vectors.

        `progress(done, total)` is called after each small batch of distinct texts.
        """
        distinct = list(dict.fromkeys(texts))
        vectors = np.empty((len(distinct), self.dimensions), dtype=np.float32)
        done = 0
        for batch in batches_by_length([len(text) for text in distinct]):
            vectors[batch] = self._model.encode(
                [distinct[index] for index in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            done += len(batch)
            if progress:
                progress(done, len(distinct))
        place = {text: index for index, text in enumerate(distinct)}
        return vectors[[place[text] for text in texts]]


def batches_by_length(lengths: Sequence[int], budget: int = CHARACTERS_PER_BATCH) -> Iterator[list[int]]:
    """Indices in groups of like length, at most `budget` when padded to its longest (or one alone)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _locate(model: str) -> tuple[str, bool]:
    """Where a model lies, and whether that is a folder of this machine."""
    if model == PACKAGED_MODEL:
        return str(embedder_path()), True
    return model, Path(model).is_dir()
