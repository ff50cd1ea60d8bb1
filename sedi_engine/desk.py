"""The desk of one person: all that a page can read, and every command that it can give, each with the role it takes.

A page never holds the service itself. A new command is a method beside those of its subject, under `@needs`; a new
subject is a `Part` more, which `Desk` opens. Public methods without `@needs` are not allowed: a test holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from sedi_engine import keys, paths, spec
from sedi_engine.access import Person, needs
from sedi_engine.config import RunConfig
from sedi_engine.curation import blind, taking
from sedi_engine.curation import settings as curation_settings
from sedi_engine.curation.settings import Curation
from sedi_engine.errors import ConfigError
from sedi_engine.estimate import Estimate
from sedi_engine.examine import Examination
from sedi_engine.exports import recording
from sedi_engine.exports.job import Prepared
from sedi_engine.generator.caller import Ask
from sedi_engine.generator.templates import Templates, TemplateStage
from sedi_engine.imports.formats import Target
from sedi_engine.mapping.job import Progress
from sedi_engine.probe import Trial
from sedi_engine.service import Service
from store import curation, decisions, edits, imports, review, runs
from store.curation import Heard, Press
from store.records import DecisionKind
from store.review import Wanted
from store.selection import Selection


class Part:
    """Commands on one subject, for one person."""

    def __init__(self, service: Service, person: Person) -> None:
        self._service, self.person = service, person


class Runs(Part):
    """Runs are started, stopped, gone on with, and brought in from elsewhere."""

    @needs("viewer")
    def estimate(self, config: RunConfig) -> Estimate:
        """What a run of these settings will take."""
        return self._service.estimate(config)

    @needs("researcher", "starting a run")
    def start(self, config: RunConfig) -> str:
        """Start a run with the keys on the server's allow-list and imported streams alone. Its id."""
        streams = Imports(self._service, self.person).streams()
        if config.generator.kind == "stream" and config.generator.stream_path not in streams:
            raise ConfigError(
                f"generator.stream_path is {config.generator.stream_path!r}, which is no imported stream.",
                "Import it as a stream under Runs & data, or run it from the command line.",
            )
        return self._service.manager.start(config, keys.servers(config.generator))

    @needs("researcher", "going on with a run")
    def resume(self, run_id: str, more_iterations: int = 0) -> None:
        """Go on with a run that has stopped; a completed one needs more iterations."""
        self._service.manager.resume(run_id, more_iterations)

    @needs("researcher", "pausing a run")
    def pause(self, run_id: str) -> None:
        """Stop a run so that it can go on."""
        self._service.manager.pause(run_id)

    @needs("researcher", "cancelling a run")
    def cancel(self, run_id: str) -> None:
        """Stop a run for good, keeping what it has."""
        self._service.manager.cancel(run_id)

    @needs("researcher", "generating here")
    def generate_here(self, run_id: str, demo_ids: Sequence[str]) -> None:
        """One iteration more whose prompts show these tasks alone."""
        self._service.manager.generate_here(run_id, demo_ids, self.person.name)

    @needs("researcher", "opening a recording")
    def play(self, source: BinaryIO | Path, name: str) -> str:
        """Put a recording into the store; the id of its run."""
        return recording.play(self._service.store, source, name, self.person.name)

    @needs("researcher", "making a blind test")
    def make_blind_test(self, run_id: str, per_rule: int, random_seed: int) -> str:
        """Draw a blind promotion test from the finished windows of a run; its id."""
        return blind.make(self._service.store, run_id, per_rule, random_seed, self.person.name)


class Decisions(Part):
    """What a person decides about proposals and candidates."""

    @needs("annotator", "deciding")
    def of_proposal(self, proposal_id: str, kind: DecisionKind, reason: str | None = None) -> int:
        """Decide a proposal; the decision's number."""
        return self._service.store.write(decisions.decide_proposal, proposal_id, kind, self.person.name, reason)

    @needs("annotator", "deciding")
    def of_candidates(self, idents: Sequence[str], kind: DecisionKind) -> int:
        """Decide several candidates in one go; how many."""
        return self._service.store.write(decisions.decide_candidates, idents, kind, self.person.name)


class Review(Part):
    """What an annotator does in the queues."""

    @needs("annotator", "deciding")
    def take(self, run_id: str, presses: Sequence[Press]) -> list[Heard]:
        """Take in keys pressed on items, in order; one that came before changes nothing."""
        return taking.take(self._service.store, self._service.maps, self.person.name, run_id, presses)

    @needs("annotator", "reviewing")
    def hold(self, wanted: Wanted, subjects: Sequence[str]) -> list[str]:
        """Put items before this person and nobody else; those that were still free."""
        mine = wanted.model_copy(update={"me": self.person.name})
        return self._service.store.write(review.hold, mine, list(subjects), runs.now())

    @needs("annotator", "deciding")
    def decide_together(
        self, subjects: Sequence[str], key: curation.Key, reason: str | None = None, queue: str | None = None
    ) -> tuple[str, int]:
        """The same decision on many candidates, undone as one: its name, and how many."""
        return self._service.store.write(curation.decide_together, subjects, key, self.person.name, reason, queue)

    @needs("annotator", "deciding")
    def of_seeds(self, seed_ids: Sequence[str], kind: curation.Key) -> int:
        """Take seeds into the library, or out of it, undone as one; how many."""
        return self._service.store.write(curation.decide_seeds, list(seed_ids), kind, self.person.name)

    @needs("annotator", "deciding")
    def undo_group(self, group_id: str) -> int:
        """Take back what was decided in one go; how many."""
        return self._service.store.write(curation.undo_group, group_id, self.person.name)

    @needs("annotator", "deciding")
    def swap(self, proposal_id: str, subject_id: str) -> str:
        """Reject a proposal and accept another candidate, or seed, in its place; the new proposal's id."""
        return self._service.store.write(edits.swap, proposal_id, subject_id, self.person.name)


class Prompts(Part):
    """Calls outside any run, which are paid for: a test of an endpoint, a prompt tried once."""

    @needs("researcher", "testing an endpoint")
    def examine(self, config: RunConfig) -> Future[Examination]:
        """Find out what the endpoint of these settings can do, with the keys that a page may use."""
        return self._service.prober.examine(config, keys.servers(config.generator), by=self.person.name)

    @needs("researcher", "sending a prompt")
    def trial(self, config: RunConfig, ask: Ask) -> Future[Trial]:
        """Send one prompt to the generator of these settings, with the keys that a page may use."""
        return self._service.prober.trial(config, keys.servers(config.generator), ask, by=self.person.name)


class Imports(Part):
    """Files of tasks on their way in."""

    @needs("viewer")
    def get(self, import_id: str) -> dict[str, Any]:
        """An import's row, with the counts so far while it is read."""
        return self._service.imports.get(import_id)

    @needs("viewer")
    def completed(self, target: Target) -> list[dict[str, Any]]:
        """Imports that became this, newest first, as `store.imports.listed` gives them."""
        listed = self._service.store.read(imports.listed)
        return [row for row in listed if row["target"] == target and row["status"] == "completed"]

    @needs("viewer")
    def streams(self) -> dict[str, str]:
        """Names of the imported streams by path: a page may have no other file of this machine read."""
        folder = self._service.store.folder
        return {str(paths.imported_stream(folder, row["import_id"])): row["name"] for row in self.completed("stream")}

    @needs("researcher", "importing")
    def start(
        self,
        source: BinaryIO,
        name: str,
        target: str,
        form: str | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> str:
        """Keep the file and queue its import; the import's id."""
        return self._service.imports.start(source, name, target, self.person.name, form, mapping)

    @needs("researcher", "importing")
    def resume(self, import_id: str) -> None:
        """Start an interrupted or failed import again."""
        self._service.imports.resume(import_id)

    @needs("researcher", "stopping an import")
    def cancel(self, import_id: str) -> None:
        """Stop an import; nothing of it comes into the store."""
        self._service.imports.cancel(import_id)


class Exports(Part):
    """Files to take away, of what anybody may read here."""

    @needs("viewer")
    def rows(self, selection: Selection, file_format: str, lineage: bool) -> Future[Prepared]:
        """Write the selected rows."""
        return self._service.exporter.prepare(selection, file_format, lineage)

    @needs("viewer")
    def adapter(self, run_id: str) -> Future[Prepared]:
        """Write the trained adapter of a run."""
        return self._service.exporter.adapter(run_id)

    @needs("viewer")
    def recording(self, run_id: str) -> Future[Prepared]:
        """Write a run as a recording."""
        return self._service.exporter.recording(run_id)


class Map(Part):
    """The map of all runs."""

    @property
    def progress(self) -> Progress:
        """What is being done to the map."""
        return self._service.maps.progress

    @needs("annotator", "bringing the map up to date")
    def update(self, run_id: str) -> None:
        """Place what the map does not show yet; nothing that is on it moves."""
        self._service.maps.update(run_id)

    @needs("researcher", "fitting the map anew")
    def refit(self, run_id: str) -> None:
        """Fit it anew, which moves its points."""
        self._service.maps.update(run_id, refit=True)


class Settings(Part):
    """Presets, templates, and how a store is curated: files of the data folder."""

    @needs("researcher", "saving a preset")
    def save_preset(self, name: str, config: RunConfig, description: str = "") -> Path:
        """Write a preset; one of the same name is replaced."""
        return spec.save(self._service.store.folder, name, config, description)

    @needs("researcher", "deleting a preset")
    def remove_preset(self, name: str) -> None:
        """Delete a saved preset."""
        spec.remove(self._service.store.folder, name)

    @needs("researcher", "saving a template")
    def save_template(self, stem: str, text: str, stage: TemplateStage) -> str:
        """Write the next version of a template; its full name."""
        return Templates(self._service.store.folder).save(stem, text, stage)

    @needs("researcher", "changing how this store is curated")
    def save_curation(self, settings: Curation) -> None:
        """Keep guidelines, reason codes and overlap."""
        curation_settings.save(self._service.store.folder, settings)


class Desk:
    """What one person finds on a page: the store to read, and a part for each subject."""

    def __init__(self, service: Service, person: Person) -> None:
        self.person = person
        self.store = service.store.reader()
        self.runs = Runs(service, person)
        self.decisions = Decisions(service, person)
        self.review = Review(service, person)
        self.prompts = Prompts(service, person)
        self.imports = Imports(service, person)
        self.exports = Exports(service, person)
        self.map = Map(service, person)
        self.settings = Settings(service, person)
