"""Keys of endpoints: where they come from, and to whom they may be sent.

A key lives in the environment of a process or in Streamlit's secrets, and travels to the worker through its standard
input alone: never into the store, a journal, a log, an event, a process list, an error, an export or a browser.

A command of the command line brings its caller's own variable, whatever its name. A page can name only what is on the
server's allow-list, where each name is bound to one origin, else a page could have any variable of the server sent to
any host. The list is OPENAI_API_KEY for https://api.openai.com, and beyond it what the server was started with:

    SEDI_KEYS="VLLM_KEY=https://llm.example.org OTHER_KEY=http://127.0.0.1:8000"     names of its variables, or

    [keys.VLLM_KEY]                            # in .streamlit/secrets.toml, here or in the home folder
    origin = "https://llm.example.org"
    key = "…"
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sedi_engine.config import GeneratorConfig
from sedi_engine.errors import ConfigError

LIST_VARIABLE = "SEDI_KEYS"
BUILT_IN = {"OPENAI_API_KEY": "https://api.openai.com"}
AMBIGUOUS = re.compile(r"[@\\\s\x00-\x1f\x7f]")
PORTS = {"https": 443, "http": 80}
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Allowed:
    """A name on the server's allow-list, and the one origin that its key may be sent to."""

    name: str
    origin: str
    key: str | None = field(repr=False)


def callers_own(generator: GeneratorConfig) -> str | None:
    """The key in this process's environment that the settings name; raises ConfigError where it is not set."""
    name = generator.api_key_env
    if generator.kind != "endpoint" or not name:
        return None
    if not (key := os.environ.get(name)):
        raise ConfigError(
            f"generator.api_key_env names {name}, which is not set in this process.",
            "Set it where the program is started, then start again.",
        )
    return key


def servers(generator: GeneratorConfig) -> str | None:
    """The key that a page may use for these settings; raises ConfigError unless name and origin are on the list."""
    name = generator.api_key_env
    if generator.kind != "endpoint" or not name:
        return None
    if not (found := allow_list().get(name)):
        listed = ", ".join(allow_list())
        raise ConfigError(
            f"{name} is not on this server's list of keys.",
            f"Choose one of {listed}; or start the server with {LIST_VARIABLE}={name}=ORIGIN; "
            "or run it from the command line, which uses its caller's own.",
        )
    if origin(generator.base_url or "") != found.origin:
        raise ConfigError(
            f"{name} may be sent to {found.origin} alone, and generator.base_url is {generator.base_url!r}.",
            f"Use that address, or start the server with another {LIST_VARIABLE}.",
        )
    if not found.key:
        raise ConfigError(f"{name} is on this server's list of keys, but not set.", "Set it and start it again.")
    return found.key


def allow_list() -> dict[str, Allowed]:
    """What pages may name, by name. Raises ConfigError where the list or the secrets cannot be read."""
    bound = {**BUILT_IN, **_listed()}
    found = {name: Allowed(name, origin(address), os.environ.get(name)) for name, address in bound.items()}
    return found | _secrets()


def origin(address: str) -> str:
    """Scheme, host and port of an address in one form; empty for what is none, or what parsers read differently."""
    if AMBIGUOUS.search(address.strip()):
        return ""
    try:
        parts = urlsplit(address.strip())
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return ""
    host = (parts.hostname or "").rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port != PORTS[parts.scheme] else "") if host else ""


def _listed() -> dict[str, str]:
    pairs = os.environ.get(LIST_VARIABLE, "").split()
    split = [pair.partition("=") for pair in pairs]
    if wrong := next((pair for pair, (_, _, to) in zip(pairs, split, strict=True) if not origin(to)), None):
        raise ConfigError(
            f"{LIST_VARIABLE} has {wrong!r}, which is not NAME=ORIGIN.",
            "Write for example MY_KEY=https://llm.example.org, with blanks between several.",
        )
    return {name: to for name, _, to in split}


def tables(name: str) -> list[tuple[Path, Any]]:
    """A table of the server's secrets, from each file that has it, the one that wins last. Raises ConfigError."""
    found = []
    for path in (Path.home() / ".streamlit" / "secrets.toml", ROOT / ".streamlit" / "secrets.toml"):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror or error}.", "Make it readable.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            # the parser's own words may quote a line, and with it a key
            raise ConfigError(f"{path} is no TOML in UTF-8.", "Correct it and start the server again.") from None
        if name in content:
            found.append((path, content[name]))
    return found


def _secrets() -> dict[str, Allowed]:
    found: dict[str, Allowed] = {}
    for path, names in tables("keys"):
        for name, table in names.items():
            to = origin(str(table.get("origin", ""))) if isinstance(table, dict) else ""
            if not to or not isinstance(table.get("key"), str):
                raise ConfigError(f"{path}: [keys.{name}] needs origin and key, both texts.", "Correct it.")
            found[name] = Allowed(name, to, table["key"])
    return found
