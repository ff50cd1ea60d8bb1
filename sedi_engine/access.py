"""Who may do what: three roles, each of which may what the one before it may, and who has which.

    viewer        reads, and exports what is shown
    annotator     decides: accept, reject, rescue, flag, edit, use as seed, undo
    researcher    starts and stops runs, spends, imports, tests endpoints, sends prompts, refits the map, saves presets

A command states the role that it takes with `@needs`; the check comes before anything else that the command does.
Who has which role is the table [access] of `.streamlit/secrets.toml`, the file that also holds keys (`keys.py`). It is
read anew whenever a page is drawn, so that a change counts at once.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from sedi_engine import keys
from sedi_engine.errors import AccessError, ConfigError, InputError

Role = Literal["viewer", "annotator", "researcher"]
ROLES: tuple[Role, ...] = get_args(Role)
LONGEST_NAME = 120
SHORTEST_SECRET = 12
TAKEN = ("rule",)  # what the program itself enters as who decided
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


GUEST = Person("guest", "viewer")


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

        checked.needs, checked.doing = role, doing  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return guard


def checked_name(text: str) -> str:
    """A person's name, blanks tidied; raises InputError for what is none. It is text: nothing may read it as markup."""
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"A name is 1 to {LONGEST_NAME} letters, digits, signs and blanks.", "Give the name you are known by."
        )
    if name.casefold() in TAKEN:
        raise InputError(f"{name} is who the program itself decides as.", "Give another name.")
    return name


def own_name() -> str:
    """The name of the operating system's user who runs this process."""
    try:
        return checked_name(getpass.getuser())
    except (OSError, KeyError, InputError):
        return "local user"


class AccessConfig(BaseModel):
    """The table [access]: how people are known, and what they may do."""

    # no error may repeat a secret
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    login: Literal["open", "secret", "oidc"] = Field(
        "open",
        description="open: everybody gives a name and is believed, for one machine; secret: a name and the shared "
        "secret of a role; oidc: the e-mail address that an identity provider vouches for.",
    )
    roles: dict[Annotated[str, AfterValidator(str.casefold)], Role] = Field(
        {}, description="Role by name (open) or by e-mail address (oidc), in any case."
    )
    everybody_else: Role | None = Field(
        None,
        description="Role of those whom `roles` does not name. Left out it is viewer; with open login, researcher for "
        "browsers on this machine.",
    )
    secrets: dict[Role, SecretStr] = Field(
        {}, description=f"With login = secret: the shared secret of each role, at least {SHORTEST_SECRET} characters."
    )
    guests: Literal["none", "presentation", "viewer"] = Field(
        "none",
        description="What people see who are not logged in. none: the login; presentation: Overview's presentation and "
        "nothing else; viewer: all that a viewer sees.",
    )

    @model_validator(mode="after")
    def _fits_its_login(self) -> AccessConfig:
        values = [one.get_secret_value() for one in self.secrets.values()]
        if self.login == "secret" and not values:
            raise ValueError("login = secret needs [access.secrets] with a secret for each role")
        if self.login != "secret" and values:
            raise ValueError(f"secrets are for login = secret, and login is {self.login}")
        if any(len(value) < SHORTEST_SECRET for value in values):
            raise ValueError(f"a secret has at least {SHORTEST_SECRET} characters")
        if len(set(values)) < len(values):
            raise ValueError("two roles have the same secret")
        if self.login == "secret" and (self.roles or self.everybody_else):
            raise ValueError("with login = secret the secret gives the role: leave roles and everybody_else out")
        if self.login == "open" and self.guests != "none":
            raise ValueError("with login = open nobody is a guest: leave guests out")
        return self

    def role_of(self, name: str, otherwise: Role) -> Role:
        """The role of somebody by name or e-mail address."""
        return self.roles.get(name.casefold(), self.everybody_else or otherwise)


def configured() -> AccessConfig:
    """What [access] says, of the project's file before that of the home folder; raises ConfigError in words."""
    tables = keys.tables("access")
    if not tables:
        return AccessConfig()
    path, table = tables[-1]
    try:
        return AccessConfig.model_validate(table)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(["access", *(str(part) for part in fault["loc"])])
        said = fault["msg"].removeprefix("Value error, ").rstrip(".")
        raise ConfigError(f"{path}: {place}: {said}.", "Correct it; nobody gets in before.") from None


def by_own_word(config: AccessConfig, name: str, *, here: bool) -> Person:
    """With open login: who says to be `name`; `here` is whether the browser is on this machine."""
    name = checked_name(name)
    return Person(name, config.role_of(name, "researcher" if here else "viewer"))


def by_secret(config: AccessConfig, name: str, secret: str) -> Person | None:
    """Who gives the shared secret of a role; None where it is nobody's. Every secret is compared, in constant time."""
    given = _digest(secret)
    fits = [role for role in ROLES if role in config.secrets and hmac.compare_digest(_digest_of(config, role), given)]
    return Person(checked_name(name), fits[0]) if fits else None


def by_user_info(config: AccessConfig, info: Mapping[str, Any]) -> Person | None:
    """Whom an identity provider vouches for, as Streamlit gives it; None while nobody is logged in.

    Raises AccessError where it vouches for no e-mail address.
    """
    if not info.get("is_logged_in"):
        return None
    email = info.get("email")
    if not isinstance(email, str) or not email.strip() or info.get("email_verified", True) is not True:
        raise AccessError(
            "The identity provider gave no e-mail address that it has verified.",
            "Log in with another account, or have the scope `email` added where this server is set up.",
        )
    name = checked_name(email).casefold()
    return Person(name, config.role_of(name, "viewer"))


def secret_of(config: AccessConfig, role: Role) -> bytes | None:
    """What a login of this role rests on; None where the role has no secret (any more)."""
    return _digest_of(config, role) if role in config.secrets else None


def _digest_of(config: AccessConfig, role: Role) -> bytes:
    return _digest(config.secrets[role].get_secret_value())


def _digest(text: str) -> bytes:
    """Of equal length whatever the text, so that a comparison tells nothing of the length."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
