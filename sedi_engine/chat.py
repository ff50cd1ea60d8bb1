"""An example becomes tokens: the model's own chat form, with the response told from the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# For a tokenizer without a chat template: the plain form that Alpaca made known, in fewer words.
PLAIN_PROMPT = "### Instruction:\n{}\n\n### Response:\n"


@dataclass(frozen=True)
class Example:
    """One training example as text."""

    candidate_id: str
    instruction: str
    input: str
    output: str


@dataclass(frozen=True)
class EncodedExample:
    """Token ids of prompt and response; the response is what is learned, its end-of-turn token included."""

    candidate_id: str
    ids: tuple[int, ...]
    prompt_tokens: int

    @property
    def response_tokens(self) -> int:
        """Tokens with a loss; 0 when the prompt alone fills the length allowed."""
        return len(self.ids) - self.prompt_tokens


class ChatFormat:
    """Instruction and input as the user's turn, output as the assistant's, through a tokenizer's own template.

    An example longer than `max_length` tokens loses the end of its response; one whose prompt alone is that
    long has no response token left. Without a template the form is PLAIN_PROMPT, output, end-of-text token.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length

    def encode(self, example: Example) -> EncodedExample:
        """Prompt and response are tokenised apart, as they are when the model is asked."""
        prompt, response = self._render(self._user_turn(example), self._defused(example.output))
        prompt_ids, response_ids = (
            self._tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, response)
        )
        ids = (prompt_ids + response_ids)[: self._max_length]
        return EncodedExample(example.candidate_id, tuple(ids), min(len(prompt_ids), len(ids)))

    def _user_turn(self, example: Example) -> str:
        parts = [example.instruction, example.input] if example.input else [example.instruction]
        return self._defused("\n\n".join(parts))

    def _defused(self, text: str) -> str:
        """The text with its special tokens broken up: an example must not end its own turn or open another."""
        for token in self._tokenizer.all_special_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _render(self, user: str, assistant: str) -> tuple[str, str]:
        eos = self._tokenizer.eos_token or ""
        if self._tokenizer.chat_template is None:
            return (self._tokenizer.bos_token or "") + PLAIN_PROMPT.format(user), assistant + eos
        turns = [{"role": "user", "content": user}]
        prompt = self._template(turns, add_generation_prompt=True)
        whole = self._template([*turns, {"role": "assistant", "content": assistant}])
        if not whole.startswith(prompt):
            return prompt, assistant + eos
        # Templates put a line break after the end-of-turn token; a model is never asked to write it.
        return prompt, whole.removeprefix(prompt).rstrip()

    def _template(self, turns: list[dict[str, str]], **options: bool) -> str:
        return self._tokenizer.apply_chat_template(turns, tokenize=False, **options)
