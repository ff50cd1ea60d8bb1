"""Logins with a shared secret: how often one may try, and how a browser stays logged in.

A login is a signed token with the name, the role and the time; the signature rests on a random key in the data folder
and on the role's secret, so that a changed secret ends the logins that were made with it. The browser keeps the token
in a cookie that scripts cannot read. A page speaks to its server over a socket, which can set no such cookie: so the
page is given a ticket, good once and for a minute, and changes it for the cookie with a request of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# signs and dates tokens
from itsdangerous import BadSignature, URLSafeTimedSerializer

from sedi_engine.access import ROLES, AccessConfig, Person, Role, secret_of
from sedi_engine.errors import AccessError

KEY_FILE = "login.key"
COOKIE, TICKET_HEADER = "sedi_login", "Sedi-Ticket"
LONGEST_S = 12 * 3600
TICKET_S = 60.0
WINDOW_S, FAILURES_EACH, FAILURES_IN_ALL = 60.0, 5, 30
Found = TypeVar("Found")
Clock = Callable[[], float]


class Gate:
    """Lets an address fail FAILURES_EACH times in WINDOW_S, and all addresses together FAILURES_IN_ALL times."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque()
        self._lock = threading.Lock()

    def attempt(self, address: str, check: Callable[[], Found | None]) -> Found | None:
        """What `check` finds; None is a failure. Raises AccessError, and checks nothing, after too many of them.

        One attempt at a time, so that many at once are counted like as many after each other.
        """
        with self._lock:
            now = self._clock()
            while self._failures and self._failures[0][0] <= now - WINDOW_S:
                self._failures.popleft()
            if wait_s := self._wait_s(address, now):
                raise AccessError("There were too many failed logins.", f"Try again in {wait_s:.0f} seconds.")
            found = check()
            if found is None:
                self._failures.append((now, address))
            return found

    def _wait_s(self, address: str, now: float) -> float:
        own = [at for at, where in self._failures if where == address]
        every = [at for at, _ in self._failures]
        full = ((own, FAILURES_EACH), (every, FAILURES_IN_ALL))
        return max((max(1.0, times[-most] + WINDOW_S - now) for times, most in full if len(times) >= most), default=0.0)


class Logins:
    """The logins of one data folder."""

    def __init__(self, folder: Path, clock: Clock = time.monotonic) -> None:
        self.gate = Gate(clock)
        self._folder, self._clock = folder, clock
        self._key = b""
        self._lock = threading.Lock()
        self._tickets: dict[str, tuple[float, str]] = {}

    def token(self, config: AccessConfig, person: Person) -> str:
        """The login of somebody who gave the secret of the role."""
        return str(self._serializer(config, person.role).dumps(person.name))

    def person(self, config: AccessConfig, token: str) -> Person | None:
        """Whose login it is; None for one that is forged, too old, or made with a secret that no longer counts."""
        for role in ROLES:
            if role in config.secrets:
                with contextlib.suppress(BadSignature):
                    return Person(str(self._serializer(config, role).loads(token, max_age=LONGEST_S)), role)
        return None

    def ticket(self, token: str) -> str:
        """What a page changes for the cookie; of an empty token, for having the cookie taken away."""
        made, now = secrets.token_urlsafe(24), self._clock()
        with self._lock:
            self._tickets = {one: kept for one, kept in self._tickets.items() if kept[0] > now}
            self._tickets[made] = (now + TICKET_S, token)
        return made

    def take(self, ticket: str) -> str | None:
        """The token of a ticket, once; None for one that is unknown, used or too old."""
        with self._lock:
            until, token = self._tickets.pop(ticket, (0.0, ""))
        return token if until > self._clock() else None

    def _serializer(self, config: AccessConfig, role: Role) -> URLSafeTimedSerializer:
        with self._lock:
            self._key = self._key or _key(self._folder / KEY_FILE)
        key = self._key + (secret_of(config, role) or b"")
        return URLSafeTimedSerializer(key, salt=f"login {role}", signer_kwargs={"digest_method": hashlib.sha256})


def _key(path: Path) -> bytes:
    """The random key of a data folder, made on first use, whole or not at all, and readable by its owner alone."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        fresh.replace(path)
    return path.read_bytes()
