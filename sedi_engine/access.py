"""Who may do what: three roles, each of which may what the one before it may.

    viewer        reads, and exports what is shown
    annotator     decides: accept, reject, rescue, flag, edit, use as seed, undo
    researcher    starts and stops runs, spends, imports, tests endpoints, sends prompts, refits the map, saves presets

A command states the role that it takes with `@needs`; the check comes before anything else that the command does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from sedi_engine.errors import AccessError

Role = Literal["viewer", "annotator", "researcher"]
ROLES: tuple[Role, ...] = get_args(Role)
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Person:
    """Who acts: the name that goes under decisions, and the role."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def check(self, role: Role, doing: str) -> None:
        """Raise AccessError in words unless this person may do what a role may."""
        if not self.may(role):
            raise AccessError(
                f"{self.name} is {with_article(self.role)}; {doing} takes {with_article(role)}.",
                "Ask whoever runs this server.",
            )


def with_article(role: Role) -> str:
    """A role in a sentence: a viewer, an annotator."""
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def needs(role: Role, doing: str = "this") -> Callable[[Command], Command]:
    """Refuse a method to a `self.person` who has not at least this role; `doing` names it: "starting a run"."""

    def guard(command: Command) -> Command:
        @functools.wraps(command)
        def checked(self: Any, *args: Any, **more: Any) -> Any:
            self.person.check(role, doing)
            return command(self, *args, **more)

        checked.needs = role  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return guard
