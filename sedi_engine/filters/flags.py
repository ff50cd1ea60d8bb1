"""Flags: what a person should look at. They drop nothing; the filter's verdict does not know of them.

`unsafe` comes from a list of phrases (`sedi_engine/data/unsafe.txt`), `personal_data` from patterns with their check
digits: e-mail addresses, telephone numbers, payment cards, bank accounts (IBAN), US social security numbers. Both see
words, not meaning: they miss much, and mark harmless texts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

# numbering plans change every year; a kept library follows them
import phonenumbers

from store.records import Flag

HOME_REGION = "US"  # numbers without a country code are read as in this one
LONGEST_READ = 100_000
RESERVED = ("example.com", "example.org", "example.net", ".example", ".test", ".invalid", "email.com", "domain.com")
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})\b")
CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d.-]*\d)")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
DIGITS = re.compile(r"\d+")
SOCIAL_SECURITY = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")


class Finding(NamedTuple):
    """A flag and the part of the text that raised it."""

    flag: Flag
    found: str


def flags(*texts: str) -> tuple[Flag, ...]:
    """The flags of a task's texts, each once, in a fixed order."""
    raised = {finding.flag for finding in findings(*texts)}
    return tuple(flag for flag in ("unsafe", "personal_data") if flag in raised)


def findings(*texts: str) -> Iterator[Finding]:
    """Every part of the texts that raises a flag; of each text the first 100,000 characters are read."""
    for text in (whole[:LONGEST_READ] for whole in texts):
        yield from (Finding("unsafe", match[0]) for match in _phrases().finditer(text))
        yield from (Finding("personal_data", found) for found in _personal(text))


def _personal(text: str) -> Iterator[str]:
    for match in EMAIL.finditer(text):
        if not match[1].lower().endswith(RESERVED):
            yield match[0]
    if not any(letter.isdigit() for letter in text):
        return
    yield from (match[0] for match in CARD.finditer(text) if _is_card(match[0]))
    yield from (match[0] for match in IBAN.finditer(text) if _is_iban(match[0]))
    yield from (match[0] for match in SOCIAL_SECURITY.finditer(text))
    for number in phonenumbers.PhoneNumberMatcher(text, HOME_REGION):
        if _is_telephone(number.raw_string):
            yield number.raw_string


def _is_telephone(text: str) -> bool:
    """Neither ten digits in a row nor a row of small numbers, nor one of those kept free for stories."""
    groups = DIGITS.findall(text)
    return len(groups) > 1 and max(map(len, groups)) >= 3 and "555-01" not in text


def _is_card(text: str) -> bool:
    """Luhn's check over 13 to 19 digits that begin as a card's do."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return digits[0] in (2, 3, 4, 5, 6) and len(set(digits)) > 1 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: letters as numbers, the first four characters moved to the end, remainder 1 by 97."""
    account = text.replace(" ", "")
    return 15 <= len(account) <= 34 and int("".join(str(int(one, 36)) for one in account[4:] + account[:4])) % 97 == 1


@cache
def _phrases() -> re.Pattern[str]:
    text = resources.files("sedi_engine").joinpath("data", "unsafe.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(map(_pattern, lines))})\b", re.IGNORECASE)


def _pattern(phrase: str) -> str:
    words = [re.escape(word).replace(r"\*", r"\w*") for word in phrase.split()]
    return r"(?:\s+\w+){0,2}?\s+".join(words)
