"""Errors of the store; `StudioError` is the base of every error a person may see."""

from __future__ import annotations


class StudioError(Exception):
    """What happened, with the value and what is allowed; `next_step` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class StoreError(StudioError):
    """The store cannot be opened or written."""


class StoreLockedError(StoreError):
    """Another process owns the store."""

    def __init__(self, message: str, next_step: str, pid: int | None) -> None:
        super().__init__(message, next_step)
        self.pid = pid


class StoreNewerError(StoreError):
    """The store was written by a newer version of the program."""


class ExportError(StudioError):
    """An export cannot be made as it was asked for; nothing was written."""

    exit_code = 2


class RecordingError(StudioError):
    """A recording cannot be made or read; nothing was changed."""

    exit_code = 2
