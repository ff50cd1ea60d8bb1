"""What can go wrong, in words for the person who sees it.

    StudioError                 what happened, with the value and what is allowed; `next_step` says what to do
    ├── InputError              the caller's input is wrong                                  (exit code 2)
    │   ├── ConfigError         a setting is unknown or out of range
    │   └── NotFoundError       a run, file or seed that is not there
    ├── WeightsError            weights cannot be fetched, checked or converted
    ├── GeneratorError          a generator cannot be reached or refuses
    ├── TrainingError           loss or gradient is not finite, or memory ran out at micro-batch 1
    ├── JobError                a run cannot be started, resumed or stopped
    └── AccessError             the person's role does not allow it

`store.errors.StoreError` and its kin carry the same two texts; `StudioError` is their base.
"""

from store.errors import StudioError


class InputError(StudioError):
    """The caller's input is wrong; nothing was changed."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown or out of range."""


class NotFoundError(InputError):
    """Something that was named is not there."""


class WeightsError(StudioError):
    """Weights cannot be fetched, checked or converted."""


class GeneratorError(StudioError):
    """A generator cannot be reached or refuses to work at all."""


class TrainingError(StudioError):
    """Training cannot go on; everything before this step is kept."""


class JobError(StudioError):
    """A run cannot be started, resumed or stopped as asked."""


class AccessError(StudioError):
    """The person's role does not allow it; nothing was changed."""


__all__ = [
    "AccessError",
    "ConfigError",
    "GeneratorError",
    "InputError",
    "JobError",
    "NotFoundError",
    "StudioError",
    "TrainingError",
    "WeightsError",
]
