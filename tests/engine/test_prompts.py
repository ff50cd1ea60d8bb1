"""Prompts: every demonstration is in them as it is, and nothing in a demonstration can change their form."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.config import GeneratorConfig
from sedi_engine.generator.parse import parse_whole_tasks
from sedi_engine.generator.prompts import instruction_request, one_line, output_request, whole_task_request
from sedi_engine.generator.request import Request
from store.records import Seed

EMBEDDED = GeneratorConfig()
ENDPOINT = GeneratorConfig(kind="endpoint", base_url="http://127.0.0.1:9/v1", model="m")
HOSTILE = st.sampled_from(["{{list}}", "{{total}}", "{0}", "{config}", "%(x)s", "$HOME", "\\g<0>", "\\1", "a\nb", "  "])
TEXTS = st.lists(st.one_of(HOSTILE, st.text(max_size=20)), min_size=1, max_size=4).map("".join)
SEEDS = st.builds(Seed, seed_id=st.just("s"), instruction=TEXTS, input=TEXTS | st.just(""), output=TEXTS)
DEMOS = st.lists(SEEDS, max_size=6)


def said(request: Request) -> str:
    return request.prompt if isinstance(request.prompt, str) else "\n".join(text for _, text in request.prompt)


@given(DEMOS, st.integers(1, 16), st.sampled_from([EMBEDDED, ENDPOINT]))
def test_a_list_shows_each_demonstration_on_one_numbered_line(
    demos: list[Seed], n: int, config: GeneratorConfig
) -> None:
    request = instruction_request(demos, n, config, seed=5)
    lines = said(request).split("\n")
    for number, demo in enumerate(demos, start=1):
        assert f"{number}. {one_line(demo.instruction)}" in lines
    assert request.stop == (f"\n{len(demos) + n + 1}.",)
    assert request.seed == 5


def test_the_embedded_list_ends_where_the_model_goes_on() -> None:
    demos = [Seed(seed_id="s", instruction="Name a river.", output="Rhine")]
    request = instruction_request(demos, 4, EMBEDDED, seed=0)
    assert request.kind == "completion"
    assert said(request).endswith("<|im_start|>assistant\n1. Name a river.\n2.")
    assert "5 different tasks" in said(request)


@given(DEMOS, TEXTS)
def test_an_endpoint_sees_solved_tasks_before_the_one_to_solve(demos: list[Seed], instruction: str) -> None:
    text = said(output_request(instruction, demos, ENDPOINT, seed=1))
    at = text.index("Task: ")
    for demo in demos:
        shown = f"Task: {one_line(demo.instruction)}\nInput: {demo.input or '<noinput>'}\nOutput: {demo.output}\n\n"
        at = text.index(shown, at) + len(shown)
    assert text.index(f"Task: {one_line(instruction)}\n", at) == at


@given(DEMOS, TEXTS)
def test_the_embedded_model_is_asked_the_task_itself(demos: list[Seed], instruction: str) -> None:
    request = output_request(instruction, demos, EMBEDDED, seed=1)
    assert request.prompt[1] == ("user", instruction)
    assert request.max_tokens == EMBEDDED.max_output_tokens


def test_whole_tasks_are_shown_in_the_form_in_which_they_are_read() -> None:
    demos = [
        Seed(seed_id="a", instruction="Sort these.", input="b\na", output="a\nb"),
        Seed(seed_id="b", instruction="Say hi.", output="Hi."),
    ]
    request = whole_task_request(demos, 3, ENDPOINT, seed=1)
    shown = said(request).partition("Go on with tasks 3 to 5")[0]
    read = parse_whole_tasks(shown, 2, "stop").items
    assert [(item.instruction, item.input, item.output) for item in read] == [
        (demo.instruction, demo.input, demo.output) for demo in demos
    ]
    assert request.kind == "chat"


@given(DEMOS, st.integers(0, 2**31 - 1))
def test_a_prompt_is_a_function_of_its_values(demos: list[Seed], seed: int) -> None:
    for ask in (instruction_request, whole_task_request):
        assert ask(demos, 4, ENDPOINT, seed) == ask(demos, 4, ENDPOINT, seed)


@pytest.mark.parametrize("config", [EMBEDDED, ENDPOINT])
def test_every_prompt_names_the_template_that_made_it(config: GeneratorConfig) -> None:
    requests = [
        instruction_request([], 4, config, 0),
        output_request("Say hi.", [], config, 0),
        whole_task_request([], 4, config, 0),
    ]
    for request in requests:
        assert resources.files("sedi_engine").joinpath("templates", f"{request.prompt_version}.txt").is_file()
        assert "{{" not in said(request)
