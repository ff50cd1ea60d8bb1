"""Which parser reads a call's reply: it follows from the call's stage and from what its template asked for."""

from __future__ import annotations

from sedi_engine.generator.parse import (
    ParsedOutput,
    ParsedReply,
    parse_instructions,
    parse_json_tasks,
    parse_output,
    parse_whole_tasks,
)
from sedi_engine.generator.stream import parse_stream
from sedi_engine.generator.templates import Templates, replies_in_json
from store.records import Call

STREAM = "stream"
BEGUN = ("Instruction:", "Input:", "Output:")


def read_tasks(call: Call, templates: Templates) -> ParsedReply:
    """The tasks in a list's or a whole-task call's reply; nothing was asked for where there is none."""
    if call.raw_reply is None:
        return ParsedReply((), {}, 0)
    if call.prompt_version == STREAM:
        return parse_stream(call.raw_reply, call.asked)
    whole = call.stage == "whole_task"
    if replies_in_json(call.prompt_version):
        found = parse_json_tasks(call.raw_reply, call.asked, call.finish_reason, whole=whole)
        if found:
            return found
    if whole:
        return parse_whole_tasks(_with_beginning(call, templates), call.asked, call.finish_reason)
    first = len(call.demo_seed_ids) + len(call.demo_pool_ids) + 1
    return parse_instructions(call.raw_reply, call.asked, first, call.finish_reason)


def read_output(call: Call, templates: Templates) -> ParsedOutput:
    """The output, and the input where there is one, in an output call's reply."""
    return parse_output(_with_beginning(call, templates), call.finish_reason)


def _with_beginning(call: Call, templates: Templates) -> str:
    """The reply, with the head that the prompt itself ended with, as one to be completed does."""
    said = call.raw_reply or ""
    ending = templates.text(call.prompt_version).rstrip().rpartition("\n")[2]
    begun = next((head for head in BEGUN if ending.endswith(head)), "")
    return f"{begun}{said}" if begun and not said.lstrip().startswith(begun) else said
