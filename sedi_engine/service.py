"""The store with its manager, opened once in the process that owns them: the dashboard's server, or a command."""

from __future__ import annotations

import threading
from pathlib import Path

from sedi_engine import paths
from sedi_engine.config import RunConfig
from sedi_engine.costs import priced
from sedi_engine.estimate import Estimate, estimate
from sedi_engine.exports.job import Exporter
from sedi_engine.generator.templates import Templates
from sedi_engine.imports.job import Imports
from sedi_engine.jobs import Manager
from sedi_engine.logins import Logins
from sedi_engine.mapping.job import Maps
from sedi_engine.owner import Owner
from sedi_engine.probe import Prober
from store import estimates, seeds
from store.database import Store


class Service:
    """An open store, its runs, and the loopback door through which other commands reach them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        try:
            self.manager = Manager(self.store)
            self.prober = Prober(self.store)
            self.imports = Imports(self.store)
            self.exporter = Exporter(self.store)
            self.maps = Maps(self.store)
            self.logins = Logins(folder)
            self.owner = Owner(self)
        except BaseException:
            self.store.close()
            raise

    def estimate(self, config: RunConfig) -> Estimate:
        """What a run of these settings will take, from the library, the price files and what earlier runs took."""
        config = priced(config, self.store.folder)
        earlier = self.store.read(estimates.history, config.generator.model_dump())
        return estimate(config, self.store.read(seeds.library), earlier, Templates(self.store.folder))

    def close(self) -> None:
        """Stop what runs (it can be resumed), and let go of the store."""
        self.owner.close()
        self.maps.close()
        self.exporter.close()
        self.imports.close()
        self.prober.close()
        self.manager.close()
        self.store.close()


_lock = threading.Lock()
_current: Service | None = None


def current() -> Service:
    """The service of this process, opened on first use at the data folder; raises StoreError in words.

    Kept in the module and not in a cache that a page can clear: there must never be two.
    """
    global _current
    with _lock:
        if _current is None:
            _current = Service(paths.data_folder())
        return _current


def close_current() -> None:
    """Close this process's service, if it was opened."""
    global _current
    with _lock:
        if _current is not None:
            _current.close()
            _current = None
