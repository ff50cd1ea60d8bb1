"""What stands in the way, and what to do about it: one finding a subject."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from sedi_engine import keys, models, prices, provenance
from sedi_engine.errors import StudioError
from sedi_engine.owner import Remote
from store.connection import connect

NEEDED_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """One subject: whether it is well, what was found, and what to do if it is not."""

    subject: str
    ok: bool
    found: str
    next_step: str = ""


def examine(folder: Path, port: int) -> list[Finding]:
    """Look at everything a run and the dashboard need; changes nothing but for the probe of the store's lock."""
    found = [_versions(), _device(), _weights(), _store(folder), _port(port), _disk(folder)]
    return [*found, _keys(), _prices(folder), _licences()]


def show(findings: list[Finding]) -> None:
    """The findings as lines on stdout."""
    import typer

    for one in findings:
        typer.echo(f"{'ok ' if one.ok else 'NO '} {one.subject:<9} {one.found}")
        if one.next_step:
            typer.echo(f"{'':13} {one.next_step}")


def _versions() -> Finding:
    found = provenance.versions()
    missing = [name for name in provenance.PACKAGES if name not in found]
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    step = f"Missing: {', '.join(missing)}. Run: pip install -r requirements.txt" if missing else ""
    return Finding("versions", not missing, text, step)


def _device() -> Finding:
    import torch

    machine = ", ".join(f"{name} {value}" for name, value in provenance.hardware().items())
    if torch.cuda.is_available():
        return Finding("device", True, f"CUDA: {torch.cuda.get_device_name(0)}; {machine}")
    has_gpu = provenance.gpu_name() is not None
    step = "There is a GPU, but torch has no CUDA: install the CUDA build of torch to use it." if has_gpu else ""
    return Finding("device", True, f"CPU (float32); {machine}", step)


def _weights() -> Finding:
    state = models.weights_state()
    if not state["present"]:
        return Finding("weights", False, f"not in {state['folder']}", "Run: python -m sedi_engine up")
    if not state["hashes_ok"]:
        step = f"Remove {state['folder']} and run: python -m sedi_engine up"
        return Finding("weights", False, f"incomplete in {state['folder']}", step)
    megabytes = (int(state["gguf_bytes"]) + int(state["student_bytes"])) // 1_000_000
    return Finding("weights", True, f"SmolLM2-135M-Instruct in {state['folder']} ({megabytes} MB)")


def _store(folder: Path) -> Finding:
    if owner := Remote.find(folder):
        return Finding("store", True, f"{folder}, owned by process {owner.pid}; commands go through it")
    if not folder.exists():
        return Finding("store", True, f"{folder} does not exist yet; the first run creates it")
    try:
        connect(folder).close()
    except StudioError as error:
        return Finding("store", False, error.message, error.next_step)
    return Finding("store", True, f"{folder}, owned by nobody")


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    step = "Something listens there: choose another with --port." if taken else ""
    return Finding("port", not taken, f"127.0.0.1:{port} is {'taken' if taken else 'free'}", step)


def _disk(folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    ok = free >= NEEDED_FREE_BYTES and os.access(there, os.W_OK)
    step = "" if ok else "Free some space or make the folder writable, or name another with --store DIR."
    return Finding("disk", ok, f"{free / 1e9:.1f} GB free at {there}", step)


def _keys() -> Finding:
    """Names alone: what pages may use, and for whom."""
    try:
        listed = keys.allow_list()
    except StudioError as error:
        return Finding("keys", False, error.message, error.next_step)
    return Finding("keys", True, "; ".join(f"{one.name} {_set(one)} for {one.origin}" for one in listed.values()))


def _set(one: keys.Allowed) -> str:
    return "is set" if one.key else "is not set"


def _prices(folder: Path) -> Finding:
    try:
        return Finding("prices", True, _known_prices(folder))
    except StudioError as error:
        return Finding("prices", False, error.message, error.next_step)


def _known_prices(folder: Path) -> str:
    shipped, own = prices.shipped(), prices.own(folder)
    newest = max(price.since for price in (*shipped, *own))
    return f"{len(shipped)} shipped, {len(own)} of the data folder, the newest from {newest}"


def _licences() -> Finding:
    return Finding(
        "licences",
        True,
        "SmolLM2 and MiniLM: Apache-2.0, free to use and to train on",
        "Llama-3 asks for its name and notice on adapters; OpenAI's terms limit training on its outputs.",
    )
