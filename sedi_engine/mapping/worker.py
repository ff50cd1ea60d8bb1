"""The process that does a step of the map: `python -m sedi_engine.mapping.worker FOLDER`.

FOLDER holds `order.json`: {"do": "embed"} reads `texts.jsonl` and writes `vectors-N.npy`, {"do": "fit"} reads
`anchors.npy`, and `previous.npy` where there is one, and writes `layout.npz`. It says what is there in JSON lines on
stdout, and ends with its parent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from sedi_engine.errors import StudioError

TEXTS_AT_ONCE = 256
SAID_AT_MOST = 200


def embed(folder: Path) -> None:
    """Vectors of the texts, some at a time, in the order of the file."""
    import torch

    from sedi_engine.embed import Embedder

    torch.set_num_threads(1)
    texts = [json.loads(line) for line in (folder / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    embedder = Embedder()
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        part = texts[first : first + TEXTS_AT_ONCE]
        np.save(folder / f"vectors-{first}.npy", embedder.encode(part))
        _say({"first": first, "count": len(part), "model": embedder.name})


def fit(folder: Path, seed: int) -> None:
    """The layout of the anchors."""
    from sedi_engine import project

    anchors, previous = np.load(folder / "anchors.npy"), folder / "previous.npy"
    layout = project.fit(anchors, seed, np.load(previous) if previous.exists() else None)
    moved = {} if layout.moved is None else {"moved": layout.moved}
    np.savez(folder / "layout.npz", coordinates=layout.coordinates, **moved)
    spacing = float(np.median(project.nearest_others(anchors)))
    _say({"method": layout.method, "spacing": spacing})


def main(arguments: list[str]) -> int:
    """Do what is ordered, and say why not where it cannot be done."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(arguments[0])
    order: dict[str, Any] = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    try:
        embed(folder) if order["do"] == "embed" else fit(folder, order["seed"])
    except StudioError as error:
        _say({"error": error.message, "next_step": error.next_step})
    except Exception as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"[:SAID_AT_MOST]
        _say({"error": f"The map was not made: {said}.", "next_step": "What happened in full is in maps/worker.log."})
    return 0


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # the thread that waits for the parent still holds stdin
