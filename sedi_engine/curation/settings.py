"""How a store is curated: guidelines, reason codes, overlap. A TOML file in the data folder, for every run."""

from __future__ import annotations

import tomllib
from pathlib import Path

# writes multi-line texts as such, and quotes any text rightly
import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sedi_engine.errors import ConfigError
from sedi_engine.jsonl import write_whole

FILE = "curation.toml"
NEAR_COPY = "near_copy"
MOST_CODES = 9


class ReasonCode(BaseModel):
    """A reason that a person gives with one key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Its name in the store and in exports.")
    label: str = Field(min_length=1, max_length=80, description="What the screen says.")


STANDARD_CODES = (
    ReasonCode(code=NEAR_COPY, label="near-copy of another task"),
    ReasonCode(code="wrong_output", label="output is wrong"),
    ReasonCode(code="unclear", label="instruction is unclear"),
    ReasonCode(code="incomplete", label="something is missing"),
    ReasonCode(code="trivial", label="too easy to teach anything"),
    ReasonCode(code="unsafe", label="unsafe"),
    ReasonCode(code="personal_data", label="personal data"),
    ReasonCode(code="language", label="bad language or format"),
    ReasonCode(code="other", label="another reason"),
)
STANDARD_GUIDELINES = (
    "Accept a task that a capable person would want answered, whose instruction can be understood on its own and whose "
    "output is right and complete. Reject what is wrong, unsafe, or says what another task says already. "
    "Edit what a small change makes right. Flag what somebody else should look at."
)


class Curation(BaseModel):
    """The settings of a store's curation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guidelines: str = Field(STANDARD_GUIDELINES, max_length=8000, description="What annotators go by; shown as text.")
    reason_codes: tuple[ReasonCode, ...] = Field(
        STANDARD_CODES, max_length=MOST_CODES, description="Reasons under the keys 1 to 9, in this order."
    )
    overlap: int = Field(1, ge=1, le=20, description="How many people decide each item.")
    near: float = Field(
        0.05, ge=0, le=0.5, description="Drops whose max ROUGE-L is at most this above the threshold get a second look."
    )
    lease_minutes: float = Field(
        15.0, gt=0, le=1440, description="How long an item stays before one person while nothing is heard of them."
    )

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the reason codes by their names."""
        return {one.code: one.label for one in self.reason_codes}


def load(folder: Path) -> Curation:
    """The settings of the store in `folder`; the standard ones where it has none. Raises ConfigError in words."""
    path = folder / FILE
    try:
        return of(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Curation()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Mend the file, or delete it to start anew.") from None


def of(values: dict[str, object]) -> Curation:
    """Settings from plain values; raises ConfigError that names the field, its value and what is allowed."""
    try:
        return Curation.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        shown = str(first.get("input"))[:80]
        raise ConfigError(f"{FILE}: {name} is {shown!r}: {first['msg']}.", "Correct it and save again.") from None


def save(folder: Path, settings: Curation) -> None:
    """Write the settings, whole or not at all."""
    write_whole(folder / FILE, [tomlkit.dumps(settings.model_dump(mode="json"))])
