"""Exact ROUGE-L F1 of a text to the nearest of many, without comparing it to all of them.

Values and decisions are those of the package rouge-score without stemming: with n and m tokens and a longest
common subsequence of L, precision L/n, recall L/m, F1 = 2·p·r/(p+r), which is 2·L/(n+m) up to rounding. The
expression is evaluated exactly as rouge-score does it, so `f1 > threshold` never differs, at the boundary either.
An empty side scores 0: under the `rouge` tokenizer two texts without Latin letters or digits score 0 *even
when they are equal*, so the filter does nothing for Korean or Chinese; the `unicode` tokenizer is for them.

Why the index misses nothing. The k-th "the" of a text counts as a term of its own (the second is far rarer than the
first, so looking it up costs less). A text is then a set of terms; the size of an intersection, the overlap, bounds L.

1. *Rarest terms.* F1 ≥ t and L ≤ m give L ≥ t·n/(2-t) =: o. A text that shares at least o of the n terms of the
   query lacks at most n-o of them, so it holds one of *any* n-o+1 of them: reading the n-o+1 shortest posting
   lists finds all. (Terms that no text holds count among those lacking and cost nothing.)
2. *Signature.* Bit (term mod 128) of a text is the parity of its terms there. Every term in only one of two texts
   flips one bit, so the texts differ in at least popcount(a xor b) terms: 2·overlap ≤ n+m-popcount(a xor b).
3. *Best first.* What is left is compared in falling order of that bound until the bound is below the best F1.

Bounds are compared with a slack far above rounding and far below 1/(n+m), so rounding cannot lose a text.
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import LCSseq

Tokenizer = Literal["rouge", "unicode"]
Term = str | tuple[str, int]

SLACK = 1e-9
WORD_BITS = 64
LOW_WORD = 2**WORD_BITS - 1
LAST_CODE_POINT = sys.maxunicode
NOWHERE = 0  # the number of every term that no text of the index holds
NORMALISED_AT_ONCE = 4096  # characters; normalising is quadratic in a run of combining marks

_LATIN_WORD = re.compile(r"[a-z0-9]+")
_ONE_TOKEN_EACH = ("CJK ", "HIRAGANA ", "KATAKANA", "HANGUL ", "BOPOMOFO ", "IDEOGRAPHIC ")
_INVISIBLE = ("VARIATION SELECTOR", "COMBINING GRAPHEME JOINER")


class Match(NamedTuple):
    """The nearest text: its place in the order of adding, and the F1 to it."""

    index: int
    f1: float


def tokenize(text: str, tokenizer: Tokenizer) -> list[str]:
    """Tokens in order; `rouge` as rouge-score makes them, `unicode` for any script.

    `unicode`: after compatibility normalisation and case folding, a token is a run of letters, digits and
    combining marks, but every Han, kana, Bopomofo or Hangul character is one by itself (Hangul too, because
    Korean glues particles to its words). On ASCII text both give the same. Scripts that are written without
    spaces otherwise, such as Thai, are cut only where the text is.
    """
    if tokenizer == "rouge":
        return _LATIN_WORD.findall(text.lower())
    pieces = (text[at : at + NORMALISED_AT_ONCE] for at in range(0, len(text), NORMALISED_AT_ONCE))
    return "".join(map(_fold, pieces)).translate(_WORD_MAP).split()


class RougeIndex:
    """Texts in order of adding, and the exact nearest of them by ROUGE-L F1."""

    def __init__(self, tokenizer: Tokenizer = "rouge") -> None:
        self.tokenizer = tokenizer
        self._terms: dict[Term, int] = {}
        self._postings: list[array[int]] = [array("i")]  # per term, the texts that hold it; none hold NOWHERE
        self._texts: list[Sequence[object]] = []
        self._lengths = array("i")
        self._low = array("Q")
        self._high = array("Q")

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> int:
        """Add a text; returns its index, counted from 0."""
        tokens = tokenize(text, self.tokenizer)
        terms = [self._number(term) for term in _terms(tokens)]
        index = len(self._texts)
        for term in terms:
            self._postings[term].append(index)
        signature = _signature(terms)
        self._low.append(signature & LOW_WORD)
        self._high.append(signature >> WORD_BITS)
        self._lengths.append(len(tokens))
        self._texts.append(self._spell(tokens))
        return index

    def nearest(self, text: str, at_least: float = 0.5) -> Match | None:
        """The text with the largest F1, the earliest of equals; None when no F1 reaches `at_least`.

        `at_least` is in (0, 1]; the smaller, the more texts have to be looked at.
        """
        if not 0 < at_least <= 1:
            raise ValueError(f"at_least is {at_least}, but must be above 0 and at most 1")
        tokens = tokenize(text, self.tokenizer)
        terms = [number for term in _terms(tokens) if (number := self._terms.get(term))]
        overlap = max(1, math.ceil((at_least - SLACK) * len(tokens) / (2 - at_least)))
        if len(terms) < overlap:
            return None
        terms.sort(key=lambda term: len(self._postings[term]))
        hits = np.concatenate([_view(self._postings[term]) for term in terms[: len(terms) - overlap + 1]])
        indices, bounds = self._promising(hits, terms, len(tokens), at_least)
        return self._best(self._spell(tokens), indices, bounds, at_least)

    def _number(self, term: Term) -> int:
        number = self._terms.setdefault(term, len(self._postings))
        if number == len(self._postings):
            self._postings.append(array("i"))
        return number

    def _spell(self, tokens: Sequence[str]) -> Sequence[object]:
        """The tokens as a string of one character each, which rapidfuzz compares fastest.

        Term numbers past the last code point stay numbers; rapidfuzz takes a character for its code point, so
        both forms compare with each other.
        """
        numbers = [self._terms.get(token, NOWHERE) for token in tokens]
        if max(numbers, default=0) > LAST_CODE_POINT:
            return numbers
        return "".join(map(chr, numbers))

    def _promising(
        self, hits: np.ndarray, terms: Sequence[int], length: int, at_least: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The distinct texts among `hits` whose bound on F1 reaches `at_least`, best first, and their bounds."""
        signature = _signature(terms)
        lengths = _view(self._lengths)[hits]
        differing = np.bitwise_count(_view(self._low)[hits] ^ np.uint64(signature & LOW_WORD))
        differing += np.bitwise_count(_view(self._high)[hits] ^ np.uint64(signature >> WORD_BITS))
        bounds = (len(terms) + lengths - differing) / (length + lengths)
        kept = np.flatnonzero(bounds >= at_least - SLACK)
        indices, first = np.unique(hits[kept], return_index=True)
        bounds = bounds[kept][first]
        order = np.argsort(-bounds, kind="stable")
        return indices[order], bounds[order]

    def _best(self, query: Sequence[object], indices: np.ndarray, bounds: np.ndarray, at_least: float) -> Match | None:
        best: Match | None = None
        floor = at_least
        for index, bound in zip(indices.tolist(), bounds.tolist(), strict=True):
            if bound < floor - SLACK:
                break
            text = self._texts[index]
            f1 = _f_measure(LCSseq.similarity(query, text), len(query), len(text))
            if f1 > floor or (f1 == floor and (best is None or index < best.index)):
                best, floor = Match(index, f1), f1
        return best


def _terms(tokens: Sequence[str]) -> Iterator[Term]:
    """Each token as a term of its own: the word itself, from its second occurrence on with its count."""
    seen: dict[str, int] = {}
    for token in tokens:
        count = seen[token] = seen.get(token, 0) + 1
        yield token if count == 1 else (token, count)


def _signature(terms: Sequence[int]) -> int:
    """128 parities, bit `term mod 128` of each term."""
    signature = 0
    for term in terms:
        signature ^= 1 << (term % (2 * WORD_BITS))
    return signature


def _f_measure(lcs: int, length: int, other_length: int) -> float:
    """rouge-score's own expression, to the last bit; the texts share a term, so lcs is at least 1."""
    precision, recall = lcs / length, lcs / other_length
    return 2 * precision * recall / (precision + recall)


def _view(values: array[int]) -> np.ndarray:
    """The array as numpy sees it, not copied; it must be gone before the array grows."""
    return np.frombuffer(values, dtype=values.typecode)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class _WordMap(dict[int, str | None]):
    """What `str.translate` makes of a character, found out once: itself, a token, a gap or nothing."""

    def __missing__(self, code_point: int) -> str | None:
        self[code_point] = made = self._made_of(chr(code_point))
        return made

    @staticmethod
    def _made_of(character: str) -> str | None:
        category, name = unicodedata.category(character), unicodedata.name(character, "")
        if name.startswith(_INVISIBLE) or (category == "Cf" and name != "ZERO WIDTH SPACE"):
            return None
        if category[0] not in "LMN":
            return " "
        return f" {character} " if name.startswith(_ONE_TOKEN_EACH) else character


_WORD_MAP = _WordMap()
