"""What a run was made with: package versions and hardware, read without importing anything heavy."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import psutil

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "scikit-learn",
    "numpy",
    "openai",
    "xllamacpp",
    "duckdb",
    "streamlit",
    "plotly",
    "umap-learn",
)


def versions() -> dict[str, str]:
    """Versions of Python, this program and the packages that decide results; what is missing is left out."""
    from sedi_engine import __version__

    found = {"sedi-studio": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str | int | float]:
    """The machine: system, processor, cores, memory in GB, and the first GPU where NVML finds one."""
    found: dict[str, str | int | float] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
    }
    if gpu := gpu_name():
        found["gpu"] = gpu
    return found


def gpu_name() -> str | None:
    """Name of the first NVIDIA GPU, or None."""
    import pynvml

    try:
        pynvml.nvmlInit()
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
    except pynvml.NVMLError:
        return None
    return name.decode() if isinstance(name, bytes) else str(name)
