"""How busy the machine is, whichever thread asks."""

from __future__ import annotations

import threading
import time

from sedi_engine import machine


def test_work_shows_from_any_thread() -> None:
    found: list[machine.Usage] = []

    def look() -> None:
        found.append(machine.usage()[-1])

    look()
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    other = threading.Thread(target=look)
    other.start()
    other.join()
    assert all(0 <= one.busy <= 1 for one in found)
    assert found[1].busy > 0
    assert 0 < found[1].memory_used_gb < found[1].memory_total_gb
