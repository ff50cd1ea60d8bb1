"""Templates: the texts that prompts are made from, as files whose names carry their version.

Built-in ones lie in `sedi_engine/templates`, saved ones in the data folder's `templates`, both as NAME.vN.txt. A file
is never changed or taken away once it is there: a change is the next version, so that every call's version says what
it was asked, and a run can always be resumed.

A name begins with its stage (instruction_list, output, whole_task), and one whose stem ends in `_json` asks for
replies in JSON. Version 0 is a draft: a text that is tried before it is saved.

    Templates(folder).names("instructions")          every name of a stage, built-in ones first
    Templates(folder).text("output_endpoint.v1")     its text
    Templates(folder).check(text, "output")          what is wrong with a text, in words, or None
    Templates(folder).save("short", text, "output")  -> "output_short.v1", the next version of its stem
    Templates(folder).draft(name, text)              the same templates, and a draft beside them
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from sedi_engine.config import RunConfig
from sedi_engine.errors import InputError, NotFoundError

TemplateStage = Literal["instructions", "output", "whole_task"]

STAGES: dict[TemplateStage, str] = {"instructions": "instruction_list", "output": "output", "whole_task": "whole_task"}
LIST_MARKERS = {"list": True, "shown": False, "first": False, "count": False, "total": False}
MARKERS: dict[TemplateStage, dict[str, bool]] = {
    "instructions": LIST_MARKERS,
    "output": {"instruction": False, "examples": False},
    "whole_task": LIST_MARKERS,
}
MARKER_WORDS = {
    "list": "the demonstrations, numbered, or as JSON where replies are JSON",
    "shown": "how many demonstrations there are",
    "first": "the number of the first new task",
    "count": "how many new tasks are asked for",
    "total": "the number of the last new task",
    "instruction": "the task to be solved; without it the template is the system's turn and the task the user's",
    "examples": "the demonstrations with their outputs",
}
NAME = re.compile(r"([a-z0-9_]{1,48})\.v([0-9]{1,6})")
STEM = re.compile(r"[a-z0-9_]{1,48}")
MARKER = re.compile(r"\{\{(\w+)\}\}")
ANY_MARKER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
LARGEST_BYTES = 100_000
DRAFT = 0


class Templates:
    """The built-in templates and those saved in `folder`; None for the built-in ones alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._saved = folder / "templates" if folder else None
        self._known: dict[str, str] = {}

    def draft(self, name: str, text: str) -> Templates:
        """These templates and one more, which is in no file. Raises InputError for a name that is none."""
        checked_name(name)
        other = Templates(self._saved.parent if self._saved else None)
        other._known = {**self._known, name: text.rstrip("\n")}
        return other

    def text(self, name: str) -> str:
        """The text of a template, without the line break at its end. Raises InputError or NotFoundError.

        A saved one comes first: were a later release to ship its name too, the calls of this folder keep their text.
        """
        checked_name(name)
        if name not in self._known:
            saved = self._read(name)
            if saved is None and name not in _built_in():
                known = ", ".join(self.names(stage_of(name)))
                raise NotFoundError(f"There is no template {name}.", f"Choose one of {known}; or save it first.")
            self._known[name] = _built_in()[name] if saved is None else saved
        return self._known[name]

    def names(self, stage: TemplateStage | None = None) -> list[str]:
        """Names of a stage, or of all: built-in ones, then saved ones, each by stem and version."""
        saved = self._saved_names()
        every = (*_sorted(name for name in _built_in() if name not in saved), *_sorted(saved))
        return [name for name in every if _stage(name) and stage in (None, _stage(name))]

    def is_built_in(self, name: str) -> bool:
        """Whether the project ships it."""
        return name in _built_in() and name not in self._saved_names()

    def check(self, text: str, stage: TemplateStage) -> str | None:
        """What is wrong with a text as a template of this stage, in words; None where nothing is."""
        if not text.strip():
            return "it is empty"
        if len(text.encode("utf-8", "replace")) > LARGEST_BYTES:
            return f"it is larger than {LARGEST_BYTES // 1000} kB"
        if found := CONTROL.search(text):
            line = text.count("\n", 0, found.start()) + 1
            return f"line {line} holds the control character U+{ord(found[0]):04X}"
        known, used = MARKERS[stage], ANY_MARKER.findall(text)
        if other := next((name for name in used if name not in known), None):
            allowed = ", ".join(f"{{{{{name}}}}}" for name in known)
            return f"{{{{{other[:40]}}}}} is no marker here; there are {allowed}"
        if missing := next((name for name, required in known.items() if required and name not in used), None):
            return f"it lacks {{{{{missing}}}}}, {MARKER_WORDS[missing]}"
        return None

    def save(self, stem: str, text: str, stage: TemplateStage) -> str:
        """Save a text as the next version of its stem; the name. Raises InputError, and then nothing is saved.

        A stem that does not begin with its stage gets that in front. Built-in versions count, so that no name is
        ever two texts.
        """
        text = text.replace("\r\n", "\n")
        if fault := self.check(text, stage):
            raise InputError(f"The template cannot be saved: {fault}.", "Correct its text.")
        stem = self.full_stem(stem, stage)
        if self._saved is None:
            raise InputError("There is no data folder to save a template in.", "Name one with --store DIR.")
        try:
            self._saved.mkdir(parents=True, exist_ok=True)
            while True:
                name = f"{stem}.v{self._latest(stem) + 1}"
                if _write_new(self._saved / f"{name}.txt", text.rstrip("\n") + "\n"):
                    return name
        except OSError as error:
            raise InputError(
                f"The template {stem} was not saved: {error.strerror or error}.",
                "Free some disk space or make the folder writable.",
            ) from None

    def full_stem(self, stem: str, stage: TemplateStage) -> str:
        """The stem with its stage in front; raises InputError where it cannot name a template."""
        begin = STAGES[stage]
        full = stem if stem == begin or stem.startswith(f"{begin}_") else f"{begin}_{stem}"
        if not STEM.fullmatch(full):
            raise InputError(
                f"A template cannot be named {stem!r}.",
                f"Use a–z, 0–9 and _, together with {begin}_ at most 48 of them.",
            )
        if stage == "output" and replies_in_json(f"{full}.v1"):
            raise InputError(
                f"{full} asks by its ending for replies in JSON, but an output is read as it is.",
                "Choose a name that does not end in _json.",
            )
        return full

    def check_named(self, config: RunConfig) -> None:
        """Raise InputError unless every template that these settings name is there and is of its stage."""
        for stage in STAGES:
            name = getattr(config.prompts, stage)
            if name is None:
                continue
            if _stage(name) != stage:
                raise InputError(
                    f"prompts.{stage} is {name}, which is no template of that stage.",
                    f"Choose one of {', '.join(self.names(stage))}.",
                )
            if fault := self.check(self.text(name), stage):
                raise InputError(f"The template {name} cannot be used: {fault}.", "Choose another, or save it anew.")

    def _read(self, name: str) -> str | None:
        """The text of a saved template; None where there is none."""
        if self._saved is None:
            return None
        try:
            with (self._saved / f"{name}.txt").open(encoding="utf-8") as file:
                return file.read(LARGEST_BYTES + 1).rstrip("\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The template {name} cannot be read: {error}.", "Mend the file or the folder.") from None

    def _saved_names(self) -> set[str]:
        found = (path.name.removesuffix(".txt") for path in self._saved.glob("*.v*.txt")) if self._saved else ()
        return {name for name in found if NAME.fullmatch(name)}

    def _latest(self, stem: str) -> int:
        split = (name.rpartition(".v") for name in (*_built_in(), *self._saved_names()))
        return max((int(version) for of, _, version in split if of == stem), default=0)


def checked_name(name: str) -> str:
    """The name, if it can be one; raises InputError. No path can be made of such a name."""
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no template's name.", "A name is like instruction_list_json.v1.")
    return name


def stage_of(name: str) -> TemplateStage:
    """The stage that a template's name begins with; raises InputError."""
    if stage := _stage(name):
        return stage
    raise InputError(f"{name!r} is no template's name.", f"It begins with {', '.join(STAGES.values())}.")


def replies_in_json(name: str) -> bool:
    """Whether a template asks for replies in JSON: its stem ends in _json."""
    return name.rpartition(".v")[0].endswith("_json")


def built_in_name(stage: TemplateStage, config: RunConfig) -> str:
    """The template that a stage uses where the settings name none."""
    generator = config.generator
    if generator.kind == "embedded":
        return {"instructions": "instruction_list.v1", "output": "output.v1", "whole_task": "whole_task.v1"}[stage]
    if generator.api == "completion":
        return f"{STAGES[stage]}_completion.v1"
    if stage == "output":
        return "output_endpoint.v1"
    if generator.reply_form == "auto":
        return f"{STAGES[stage]}_json.v1"
    return {"instructions": "instruction_list_endpoint.v1", "whole_task": "whole_task.v1"}[stage]


def name_for(stage: TemplateStage, config: RunConfig) -> str:
    """The template of a stage under these settings."""
    return getattr(config.prompts, stage) or built_in_name(stage, config)


@cache
def _built_in() -> dict[str, str]:
    folder = resources.files("sedi_engine").joinpath("templates")
    files = [file for file in folder.iterdir() if file.name.endswith(".txt")]
    return {file.name.removesuffix(".txt"): file.read_text(encoding="utf-8").rstrip("\n") for file in files}


def _stage(name: str) -> TemplateStage | None:
    stem = name.rpartition(".v")[0]
    return next((stage for stage, begin in STAGES.items() if stem == begin or stem.startswith(f"{begin}_")), None)


def _sorted(names: Iterable[str]) -> list[str]:
    split = (name.rpartition(".v") for name in names)
    return [f"{stem}.v{version}" for stem, _, version in sorted(split, key=lambda part: (part[0], int(part[2])))]


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet, synced; False where it is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)  # half a text would hold the version for ever
        raise
    return True
