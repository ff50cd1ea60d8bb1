"""A folder of tensors and numbers, written whole or not at all and known by its hash; nothing in it is code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedi_engine.errors import StudioError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor


def write(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Write each file (.safetensors from tensors, .json from values) and return the folder's sha256.

    All goes to a temporary folder beside it, is synced and renamed; a folder already there is replaced.
    Raises StudioError when the disk is full or fails.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            _write_synced(temporary / name, _to_bytes(name, content))
        _sync(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StudioError(
            f"The checkpoint {folder} was not written: {'the disk is full' if full else error.strerror}.",
            "Free some space and resume." if full else "Check the disk and the folder, then resume.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder_hash(folder)


def read(folder: Path, sha256: str) -> dict[str, dict[str, Any]]:
    """The files of a checkpoint by name, tensors on the CPU.

    Raises TrainingError unless the folder is there and has the hash that `write` returned.
    """
    found = folder_hash(folder) if folder.is_dir() else "missing"
    if found != sha256:
        raise TrainingError(
            f"The checkpoint {folder} is not the one that was written (sha256 {found[:12]}, not {sha256[:12]}).",
            "Put the folder back from a backup, or start a new run.",
        )
    return {path.name: _from_bytes(path.name, path.read_bytes()) for path in sorted(folder.iterdir())}


def folder_hash(folder: Path) -> str:
    """The sha256 over the names and contents of a folder's files, in order of name."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            whole.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def random_states() -> dict[str, Tensor]:
    """The states of torch's random generators, as tensors."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def restore_random_states(states: Mapping[str, Tensor]) -> None:
    """Set torch's random generators to states read from a checkpoint; a device that is gone is left out."""
    import torch

    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _to_bytes(name: str, content: Mapping[str, Any]) -> bytes:
    if name.endswith(".safetensors"):
        from safetensors.torch import save

        return save({key: tensor.detach().cpu().contiguous() for key, tensor in content.items()})
    return json.dumps(dict(content), indent=2, sort_keys=True).encode()


def _from_bytes(name: str, content: bytes) -> dict[str, Any]:
    if name.endswith(".safetensors"):
        from safetensors.torch import load

        return load(content)
    return json.loads(content)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
