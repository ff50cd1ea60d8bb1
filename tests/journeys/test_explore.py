"""A run of three windows explored in a real browser: map, lasso, record, batch, curve, and the same view elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from sedi_engine.bench.browser import ARGUMENTS, CHROMIUM
from sedi_engine.service import Service
from store import map_view, runs
from store.database import Store
from tests.browser import ON_SCREEN_MS, RETAINED, at_rest, choose, keyed, open_page, saying
from tests.pages.builder import begin, window
from tests.story import Story

pytestmark = pytest.mark.browser
MAP_MS = 120_000
PLOT = ".js-plotly-plot .nsewdrag"


@pytest.fixture
def explored(folder: Path) -> None:
    """A completed run of three windows that nobody has mapped yet."""
    service, story = Service(folder), Story()
    begin(service.store, story)
    for number in (1, 2, 3):
        story.tell(service.store, *window(story, number))
    service.store.write(runs.set_status, "r1", "completed")
    service.close()


def region(address: str) -> str | None:
    """The region of the map that an address holds; other parts of it come when the widgets are drawn."""
    return dict(parse_qsl(urlsplit(address).query)).get("region")


def lasso(page: Page, left: float, right: float) -> None:
    """Draw around what lies between two shares of the map's width, and wait until the address says so."""
    before = region(page.url)
    keyed(page, "map_plot", ".modebar-btn[data-val=lasso]").click()
    box = keyed(page, "map_plot", PLOT).bounding_box()
    assert box is not None
    corners = ((left, 0.02), (right, 0.02), (right, 0.98), (left, 0.98), (left, 0.03))
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()
    page.wait_for_url(lambda address: region(address) not in (None, before))


PLACE = """box => {
    const plot = box.querySelector(".js-plotly-plot"), layout = plot._fullLayout, trace = plot._fullData[0];
    const frame = plot.getBoundingClientRect(), x = layout.xaxis, y = layout.yaxis;
    return [frame.left + x._offset + x.d2p(trace.x[0]), frame.top + y._offset + y.d2p(trace.y[0])];
}"""


def click_a_point(page: Page) -> None:
    """Click the first point of the map's first trace."""
    page.mouse.move(*keyed(page, "map_plot").evaluate(PLACE))
    expect(keyed(page, "map_plot", ".hoverlayer .hovertext")).to_be_visible()
    page.mouse.down()
    page.mouse.up()


def selected(page: Page) -> int:
    heading = keyed(page, "map_selection").get_by_role("heading")
    expect(heading).to_be_visible()
    return int(re.sub(r"\D", "", heading.inner_text()))


def batches_said(page: Page) -> Locator:
    """Which batches the curve beside the map says it lights."""
    return saying(page, re.compile("^Batches of the selection"))


def test_a_researcher_explores_a_run_and_a_colleague_sees_the_same(
    folder: Path, serve, context: BrowserContext, explored: None
) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/map?run=r1")
    expect(keyed(page, "map_plot", PLOT)).to_be_visible(timeout=MAP_MS)
    at_rest(page)
    choose(page, "map_color", "Drop reason")
    at_rest(page)
    for sides in ((0.02, 0.3), (0.4, 0.98)):  # what is drawn piece by piece is what a page shows that opens there
        lasso(page, *sides)
        colleague = open_page(context, page.url)
        count = selected(colleague)
        assert 0 < count < 174
        expect(keyed(page, "map_selection").get_by_role("heading")).to_have_text(f"{count} tasks selected")
        lit = batches_said(colleague).all_inner_texts()
        expect(batches_said(page)).to_have_text(lit)
        expect(keyed(colleague, "map_color", "input")).to_have_value("Drop reason")
        colleague.close()
    assert lit, "a part without a batch has no curve; the most of it has"

    keyed(page, "map_bulk_kind").get_by_text("Flag", exact=True).click()
    at_rest(page)
    keyed(page, "map_bulk", "button").click()
    at_rest(page)
    keyed(page, "map_clear", "button").click()
    expect(keyed(page, "map_selection")).to_have_count(0)

    keyed(page, "map_plot", ".modebar-btn[data-val=pan]").click()
    click_a_point(page)
    page.wait_for_url("**item=candidate*")
    expect(keyed(page, "map_record")).to_be_visible()
    page.goto(f"{server.address}/map?run=r1&item=candidate:r1-0-2")
    expect(keyed(page, "map_record")).to_contain_text("Dropped at similarity")
    page.goto(f"{server.address}/map?run=r1&item=candidate:r1-0-0")
    keyed(page, "map_to_batch", "button").click()
    page.wait_for_url("**step=1*")
    expect(keyed(page, "map_curve", ".js-plotly-plot")).to_be_visible()
    assert selected(page) == 4

    page.get_by_role("link", name="Batches").click()
    expect(keyed(page, "batches_compare")).to_be_visible()
    page.goto(f"{server.address}/train?run=r1")
    points = keyed(page, "training_plot", ".scatterlayer .points path")
    expect(points.first).to_be_visible()
    points.nth(6).click(force=True)
    page.wait_for_url("**step=7*")
    expect(keyed(page, "batch_brief")).to_contain_text("Batch of step 7")
    keyed(page, "batch_brief").get_by_role("link", name="On the map").click()
    page.wait_for_url("**/map?**step=7*")
    assert selected(page) == 4
    server.stop()
    store = Store(folder)
    flagged = store.read(map_view.frame, "r1")["decision"].eq("flag").sum()
    store.close()
    assert 0 < flagged <= count


POINTS_SEEN = """selector => {
    window.pointsSeen = [];
    const look = () => {
        const plots = [...document.querySelectorAll(selector)];
        const points = plots.at(-1)?._fullData?.[0]?.x?.length;
        if (points && pointsSeen.at(-1) !== points) pointsSeen.push(points);
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


def of_playing(key: str, inside: str) -> str:
    """Selects inside a chart that plays: its page is drawn so often that it is hardly ever at rest, and stale then."""
    return f".st-key-{key}:not({RETAINED}) {inside}"


def legend(page: Page, key: str, words: str) -> Locator:
    """The legend with these words of a chart that plays."""
    return page.locator(of_playing(key, ".legend")).filter(has_text=words).first


def drew_itself(page: Page, steps: int) -> None:
    """The curve that POINTS_SEEN has watched got longer a few steps at a time, up to the last."""
    seen = page.evaluate("window.pointsSeen")
    seen = seen[seen.index(min(seen)) :]  # before the first tick it was whole
    assert seen == sorted(seen)
    assert len(seen) > steps / 3
    assert seen[-1] == steps


def test_windows_play_and_a_threshold_moves_points(serve, context: BrowserContext, explored: None) -> None:
    server = serve()
    page = open_page(context, f"{server.address}/map?run=r1")
    expect(keyed(page, "map_plot", PLOT)).to_be_visible(timeout=MAP_MS)
    at_rest(page)
    page.evaluate(POINTS_SEEN, of_playing("map_curve", ".js-plotly-plot"))
    keyed(page, "map_play", "button").first.click()
    for greyed in (150, 102, 52):
        expect(legend(page, "map_plot", f"outside the filter ({greyed})")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("recording · window 2 of 3").first).to_be_visible()
    assert "map_iteration=2" in page.url
    expect(page.get_by_text("recording · window")).to_have_count(0, timeout=ON_SCREEN_MS)
    at_rest(page)
    expect(legend(page, "map_plot", "outside the filter")).to_have_count(0)
    drew_itself(page, 12)
    thumb = keyed(page, "map_threshold", "input")
    thumb.focus()
    thumb.press("End")
    expect(keyed(page, "map_threshold_said")).to_contain_text("18 appear")
    expect(legend(page, "map_plot", "appears (18)")).to_be_visible()


def test_without_webgl_the_map_is_drawn_all_the_same(serve, browser: Browser, explored: None) -> None:
    server = serve()
    off = [*ARGUMENTS[:-1], "--disable-webgl", "--disable-webgl2", "--disable-3d-apis"]
    plain = browser.browser_type.launch(executable_path=CHROMIUM, args=off)
    page = open_page(plain.new_context(viewport={"width": 1024, "height": 900}), f"{server.address}/map?run=r1")
    expect(keyed(page, "map_plot", ".scatterlayer .points path").first).to_be_visible(timeout=MAP_MS)
    plain.close()


def test_a_presenter_opens_the_recorded_run_and_tells_it(serve, context: BrowserContext) -> None:
    server = serve()
    page = open_page(context, server.address)
    keyed(page, "overview_open_recording", "button").click()
    expect(keyed(page, "overview_recording")).to_be_visible()
    page.get_by_role("link", name="Explore it").click()
    expect(keyed(page, "map_plot", PLOT)).to_be_visible(timeout=MAP_MS)
    page.get_by_role("link", name="Overview").click()
    expect(keyed(page, "overview_map", ".js-plotly-plot")).to_be_visible()
    at_rest(page)
    keyed(page, "overview_present", "button").click()
    for part, seen in (
        ("The map", keyed(page, "overview_story_map", ".js-plotly-plot")),
        ("Training", keyed(page, "overview_story_training", ".js-plotly-plot")),
        ("Seeds", saying(page, "proposals were accepted")),
    ):
        keyed(page, "overview_story").get_by_text(part, exact=True).click()
        expect(seen).to_be_visible(timeout=ON_SCREEN_MS)
    expect(page.get_by_role("link", name="Generate")).to_have_count(0)
    keyed(page, "overview_story").get_by_text("The map", exact=True).click()
    at_rest(page)
    page.evaluate(POINTS_SEEN, of_playing("overview_story_curves", ".js-plotly-plot"))
    keyed(page, "overview_play", "button").first.click()
    expect(legend(page, "overview_story_map", "seed (14)")).to_be_visible()
    for number, kept in ((1, 43), (2, 80)):
        expect(page.get_by_text(f"recording · window {number} of 3").first).to_be_visible(timeout=ON_SCREEN_MS)
        expect(legend(page, "overview_story_map", f"kept ({kept})")).to_be_visible()
    expect(legend(page, "overview_story_map", "kept (121)")).to_be_visible(timeout=ON_SCREEN_MS)
    expect(page.get_by_text("recording · window")).to_have_count(0, timeout=ON_SCREEN_MS)
    drew_itself(page, 15)
    keyed(page, "overview_leave", "button").click()
    expect(page.get_by_role("link", name="Generate")).to_be_visible()
