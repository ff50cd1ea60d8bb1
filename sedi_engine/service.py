"""The store with its manager, opened once in the process that owns them: the dashboard's server, or a command."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from sedi_engine import keys, paths
from sedi_engine.config import RunConfig
from sedi_engine.costs import priced
from sedi_engine.errors import ConfigError
from sedi_engine.estimate import Estimate, estimate
from sedi_engine.examine import Examination
from sedi_engine.exports.job import Exporter
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.templates import Templates
from sedi_engine.imports.formats import Target
from sedi_engine.imports.job import Imports
from sedi_engine.jobs import Manager
from sedi_engine.mapping.job import Maps
from sedi_engine.owner import Owner
from sedi_engine.probe import Prober, Trial
from store import estimates, imports, seeds
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
            self.owner = Owner(self)
        except BaseException:
            self.store.close()
            raise

    def start(self, config: RunConfig) -> str:
        """Start a run as a page may: with the keys on the server's allow-list and imported streams alone. Its id."""
        self._check_stream(config)
        return self.manager.start(config, keys.servers(config.generator))

    def estimate(self, config: RunConfig) -> Estimate:
        """What a run of these settings will take, from the library, the price files and what earlier runs took."""
        config = priced(config, self.store.folder)
        earlier = self.store.read(estimates.history, config.generator.model_dump())
        return estimate(config, self.store.read(seeds.library), earlier, Templates(self.store.folder))

    def examine(self, config: RunConfig) -> Future[Examination]:
        """Find out what the endpoint of these settings can do, with the keys that a page may use."""
        return self.prober.examine(config, keys.servers(config.generator), by="page")

    def trial(self, config: RunConfig, ask: Ask) -> Future[Trial]:
        """Send one prompt to the generator of these settings, with the keys that a page may use."""
        return self.prober.trial(config, keys.servers(config.generator), ask, by="page")

    def imported(self, target: Target) -> list[dict[str, Any]]:
        """Imports that became this, newest first, as `store.imports.listed` gives them."""
        listed = self.store.read(imports.listed)
        return [row for row in listed if row["target"] == target and row["status"] == "completed"]

    def streams(self) -> dict[str, str]:
        """Names of the imported streams by path: a page may have no other file of this machine read."""
        rows = self.imported("stream")
        return {str(paths.imported_stream(self.store.folder, row["import_id"])): row["name"] for row in rows}

    def _check_stream(self, config: RunConfig) -> None:
        if config.generator.kind == "stream" and config.generator.stream_path not in self.streams():
            raise ConfigError(
                f"generator.stream_path is {config.generator.stream_path!r}, which is no imported stream.",
                "Import it as a stream under Runs & data, or run it from the command line.",
            )

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
