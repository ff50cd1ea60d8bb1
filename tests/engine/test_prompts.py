"""Prompts: every demonstration is in them as it is, and nothing in a demonstration can change their form."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.config import RunConfig
from sedi_engine.generator.body import storable
from sedi_engine.generator.parse import parse_json_tasks, parse_whole_tasks
from sedi_engine.generator.prompts import instruction_request, one_line, output_request, whole_task_request
from sedi_engine.generator.reading import read_output, read_tasks
from sedi_engine.generator.request import Request
from sedi_engine.generator.templates import STAGES, Templates
from store.records import Call, Seed

EMBEDDED = RunConfig()
ADDRESS = {"generator.kind": "endpoint", "generator.base_url": "http://127.0.0.1:9/v1", "generator.model": "m"}
ENDPOINT = RunConfig.load("custom", {**ADDRESS, "generator.reply_form": "text"})
JSON = RunConfig.load("custom", ADDRESS)
COMPLETES = RunConfig.load("custom", {**ADDRESS, "generator.api": "completion"})
SHIPPED = Templates()


def asking(config: RunConfig, tasks: int) -> RunConfig:
    return config.with_settings({"generator.tasks_per_call": tasks})


def call(request: Request, stage: str, reply: str, demos: int = 0, asked: int = 2) -> Call:
    return Call(
        run_id="r",
        call_index=0,
        stage=stage,
        iteration=1,
        model="m",
        endpoint="e",
        prompt_version=request.prompt_version,
        demo_seed_ids=tuple(map(str, range(demos))),
        asked=asked,
        raw_reply=reply,
        finish_reason="stop",
    )


HOSTILE = st.sampled_from(["{{list}}", "{{total}}", "{0}", "{config}", "%(x)s", "$HOME", "\\g<0>", "\\1", "a\nb", "  "])
TEXTS = st.lists(st.one_of(HOSTILE, st.text(max_size=20)), min_size=1, max_size=4).map("".join)
SEEDS = st.builds(Seed, seed_id=st.just("s"), instruction=TEXTS, input=TEXTS | st.just(""), output=TEXTS)
DEMOS = st.lists(SEEDS, max_size=6)


def said(request: Request) -> str:
    return request.prompt if isinstance(request.prompt, str) else "\n".join(text for _, text in request.prompt)


@given(DEMOS, st.integers(1, 16), st.sampled_from([EMBEDDED, ENDPOINT]))
def test_a_list_shows_each_demonstration_on_one_numbered_line(demos: list[Seed], n: int, config: RunConfig) -> None:
    request = instruction_request(demos, asking(config, n), 5, SHIPPED)
    lines = said(request).split("\n")
    for number, demo in enumerate(demos, start=1):
        assert f"{number}. {one_line(demo.instruction)}" in lines
    assert request.stop == (f"\n{len(demos) + n + 1}.",)
    assert request.seed == 5


def test_the_embedded_list_ends_where_the_model_goes_on() -> None:
    demos = [Seed(seed_id="s", instruction="Name a river.", output="Rhine")]
    request = instruction_request(demos, asking(EMBEDDED, 4), 0, SHIPPED)
    assert request.kind == "completion"
    assert said(request).endswith("<|im_start|>assistant\n1. Name a river.\n2.")
    assert "5 different tasks" in said(request)


@given(DEMOS, TEXTS)
def test_an_endpoint_sees_solved_tasks_before_the_one_to_solve(demos: list[Seed], instruction: str) -> None:
    text = said(output_request(instruction, demos, ENDPOINT, 1, SHIPPED))
    at = text.index("Task: ")
    for demo in demos:
        shown = f"Task: {one_line(demo.instruction)}\nInput: {demo.input or '<noinput>'}\nOutput: {demo.output}\n\n"
        at = text.index(shown, at) + len(shown)
    assert text.index(f"Task: {one_line(instruction)}\n", at) == at


@given(DEMOS, TEXTS)
def test_the_embedded_model_is_asked_the_task_itself(demos: list[Seed], instruction: str) -> None:
    request = output_request(instruction, demos, EMBEDDED, 1, SHIPPED)
    assert request.prompt[1] == ("user", instruction)
    assert request.max_tokens == EMBEDDED.generator.max_output_tokens


def test_whole_tasks_are_shown_in_the_form_in_which_they_are_read() -> None:
    demos = [
        Seed(seed_id="a", instruction="Sort these.", input="b\na", output="a\nb"),
        Seed(seed_id="b", instruction="Say hi.", output="Hi."),
    ]
    request = whole_task_request(demos, asking(ENDPOINT, 3), 1, SHIPPED)
    shown = said(request).partition("Go on with tasks 3 to 5")[0]
    read = parse_whole_tasks(shown, 2, "stop").items
    assert [(item.instruction, item.input, item.output) for item in read] == [
        (demo.instruction, demo.input, demo.output) for demo in demos
    ]
    assert request.kind == "chat"


@given(DEMOS, st.integers(0, 2**31 - 1))
def test_a_prompt_is_a_function_of_its_values(demos: list[Seed], seed: int) -> None:
    for ask in (instruction_request, whole_task_request):
        assert ask(demos, ENDPOINT, seed, SHIPPED) == ask(demos, ENDPOINT, seed, SHIPPED)


@pytest.mark.parametrize("config", [EMBEDDED, ENDPOINT, JSON, COMPLETES])
def test_every_prompt_names_the_template_that_made_it(config: RunConfig) -> None:
    requests = [
        instruction_request([], config, 0, SHIPPED),
        output_request("Say hi.", [], config, 0, SHIPPED),
        whole_task_request([], config, 0, SHIPPED),
    ]
    for request in requests:
        assert resources.files("sedi_engine").joinpath("templates", f"{request.prompt_version}.txt").is_file()
        assert "{{" not in said(request)


@given(DEMOS, st.sampled_from([instruction_request, whole_task_request]))
def test_demonstrations_in_json_are_read_back_as_they_are(demos: list[Seed], ask) -> None:
    request = ask(demos, JSON, 0, SHIPPED)
    whole = ask is whole_task_request
    shown = said(request)[said(request).index("{") : said(request).rindex("]}") + 2]
    read = parse_json_tasks(shown, len(demos), "stop", whole=whole)
    expected = [storable(one_line(demo.instruction)) for demo in demos if one_line(demo.instruction)]
    assert [item.instruction for item in (read.items if read else ())] == expected
    assert request.schema["properties"]["tasks"]["items"]["additionalProperties"] is False
    assert request.stop == ()


def test_a_schema_is_strict_all_properties_required() -> None:
    for ask, names in (
        (instruction_request, ["instruction"]),
        (whole_task_request, ["instruction", "input", "output"]),
    ):
        task = ask([], JSON, 0, SHIPPED).schema["properties"]["tasks"]["items"]
        assert task["required"] == list(task["properties"]) == names


def test_a_base_model_goes_on_with_a_bare_list() -> None:
    demos = [Seed(seed_id="s", instruction="Name a river.", input="", output="Rhine")]
    listed = instruction_request(demos, COMPLETES, 0, SHIPPED)
    assert (listed.kind, listed.schema) == ("completion", None)
    assert listed.prompt.endswith("1. Name a river.\n2.")
    replied = call(listed, "instruction", " Name a lake.\n3. Name a sea.", demos=1)
    items = read_tasks(replied, SHIPPED).items
    assert [item.instruction for item in items] == ["Name a lake.", "Name a sea."]
    whole = whole_task_request(demos, COMPLETES, 0, SHIPPED)
    assert whole.prompt.endswith("\n2.")
    reply = (
        " Instruction: Name a lake.\nInput: <noinput>\nOutput: Como\n###\n3. Instruction: Sum.\nInput: 1 2\nOutput: 3"
    )
    items = read_tasks(call(whole, "whole_task", reply, demos=1), SHIPPED).items
    assert [(item.instruction, item.input, item.output) for item in items] == [
        ("Name a lake.", "", "Como"),
        ("Sum.", "1 2", "3"),
    ]
    solved = output_request("Sum.", demos, COMPLETES, 0, SHIPPED)
    assert solved.prompt.endswith("Task: Sum.")
    read = read_output(call(solved, "output", "\nInput: 1 2\nOutput: 3"), SHIPPED)
    assert (read.input, read.output) == ("1 2", "3")


def test_the_second_stage_may_ask_another_model() -> None:
    config = JSON.with_settings({"generator.output_model": "small"})
    assert instruction_request([], config, 0, SHIPPED).model == ""
    assert output_request("Sum.", [], config, 0, SHIPPED).model == "small"


@pytest.mark.parametrize("stage", STAGES)
def test_a_named_template_is_used_and_named(stage: str, tmp_path) -> None:
    templates = Templates(tmp_path)
    name = templates.save("mine", "Do {{list}}" if stage != "output" else "Do {{instruction}}", stage)
    config = JSON.with_settings({f"prompts.{stage}": name})
    ask = {"instructions": instruction_request, "whole_task": whole_task_request}.get(stage)
    request = ask([], config, 0, templates) if ask else output_request("Sum.", [], config, 0, templates)
    assert (request.prompt_version, said(request)[:2]) == (name, "Do")
    assert not templates.is_built_in(name)
