"""How busy this machine is now: GPUs through NVML where there are any, else processors and memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Seconds by what processors did, at the last look: psutil keeps its own by thread, and pages are drawn by new ones.
_times: Any = None


class DeviceClock:
    """How busy a torch device is from now on: a GPU by its driver, a CPU by this process's share of all processors."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began, self._worked = time.perf_counter(), time.process_time()

    def share(self) -> float | None:
        """0 to 1; None where the driver does not say. A driver's answer covers its last sample, up to a second."""
        if self._device.type == "cuda":
            import pynvml
            import torch

            try:
                return torch.cuda.utilization(self._device) / 100
            except (pynvml.NVMLError, RuntimeError):
                return None
        passed = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        return min(1.0, (time.process_time() - self._worked) / passed) if passed > 0 else None


@dataclass(frozen=True)
class Usage:
    """One device: how busy it is (0 to 1), and its memory in GB."""

    name: str
    busy: float
    memory_used_gb: float
    memory_total_gb: float


def usage() -> list[Usage]:
    """Every GPU that the driver names, and the processors."""
    return [*_gpus(), _processors()]


def _processors() -> Usage:
    import psutil

    global _times
    memory, before, now = psutil.virtual_memory(), _times, psutil.cpu_times()
    _times = now
    passed = sum(now) - (sum(before) if before else 0.0)
    idle = now.idle - (before.idle if before else 0.0)
    busy = min(1.0, max(0.0, 1 - idle / passed)) if passed > 0 else 0.0
    return Usage(f"{psutil.cpu_count()} processors", busy, (memory.total - memory.available) / 1e9, memory.total / 1e9)


def _gpus() -> list[Usage]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml.nvmlDeviceGetHandleByIndex(at)) for at in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []  # a driver that cannot say more, as with some partitioned GPUs
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object) -> Usage:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    return Usage(str(pynvml.nvmlDeviceGetName(handle)), busy, memory.used / 1e9, memory.total / 1e9)
