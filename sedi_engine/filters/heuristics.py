"""Self-Instruct's rules for what is no usable instruction or task, before any comparison with others."""

from __future__ import annotations

import re
import string

from sedi_engine.filters.rouge import Tokenizer, tokenize
from store.records import DropReason

MOST_WORDS_TOO_SHORT = 3
MOST_WORDS = 150
BANNED = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"),
    *("draw", "plot", "go to"),
)

_BANNED_WORD = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.IGNORECASE)


def check(instruction: str, tokenizer: Tokenizer = "rouge") -> DropReason | None:
    """The first of Self-Instruct's rules that the instruction breaks, in its order; None when it keeps all.

    As in Self-Instruct the text is judged with white space collapsed and only its first letter a capital, and
    words are what white space divides. Under `unicode` words are the tokenizer's tokens, and a first character
    outside ASCII is no fault; punctuation stays ASCII's, since "¿" opens every Spanish question.
    """
    text = " ".join(instruction.split()).capitalize()
    if not text:
        return "empty"
    words = len(text.split() if tokenizer == "rouge" else tokenize(text, tokenizer))
    if words <= MOST_WORDS_TOO_SHORT:
        return "short"
    if words > MOST_WORDS:
        return "long"
    if _BANNED_WORD.search(text):
        return "banned"
    if text.startswith("Write a program"):
        return "program"
    if text[0] in string.punctuation:
        return "punctuation"
    if tokenizer == "rouge" and not text[0].isascii():
        return "non_ascii"
    return None


def check_output(instruction: str, input: str, output: str) -> DropReason | None:
    """What is wrong with a task's answer: `no_output`, `echo` (of input or instruction) or `truncated`.

    An input or output that ends in ":" announces something that never came, so it counts as truncated.
    White space around the texts does not matter.
    """
    instruction, input, output = instruction.strip(), input.strip(), output.strip()
    if not output:
        return "no_output"
    if output in (input, instruction):
        return "echo"
    if input.endswith(":") or output.endswith(":"):
        return "truncated"
    return None
