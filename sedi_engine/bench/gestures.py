"""What a person does on a page, done in Chromium, and the seconds until the page rests with the outcome on screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

REST = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
# From the event on: the script has run and rests, `selector` is there, the figure is another one if it should be, and
# the frame that shows it all is out.
UNTIL_REST = """([event, selector, drawn]) => {
    const app = document.querySelector("[data-testid=stApp]");
    const legend = () => document.querySelector(".st-key-map_plot .legend")?.textContent;
    const before = drawn ? legend() : null;
    window.benchRest = new Promise(resolve => addEventListener(event, ({timeStamp}) => {
        let began = false;
        const look = () => {
            began ||= app.dataset.testScriptState !== "notRunning";
            const rests = began && app.dataset.testScriptState === "notRunning" && document.querySelector(selector);
            if (!rests || (drawn && [before, undefined].includes(legend()))) return;
            watch.disconnect();
            requestAnimationFrame(() => setTimeout(() => resolve((performance.now() - timeStamp) / 1000)));
        };
        const watch = new MutationObserver(look);
        watch.observe(app, {attributes: true, childList: true, subtree: true});
    }, {capture: true, once: true}));
}"""
# Pixels of the corners of a square around the middle of the plot that holds a share of what is spread over it.
SQUARE = """share => {
    const plot = document.querySelector(".st-key-map_plot .js-plotly-plot"), frame = plot.getBoundingClientRect();
    const {xaxis: x, yaxis: y} = plot._fullLayout, half = Math.sqrt(share);
    return [[-half, -half], [half, -half], [half, half], [-half, half], [-half, -half]].map(
        ([a, b]) => [frame.left + x._offset + x.d2p(a), frame.top + y._offset + y.d2p(b)]);
}"""
LASSOED = 0.2  # of 10,000 points drawn: 2,000
PLOT = ".st-key-map_plot .js-plotly-plot .nsewdrag"


class Tab:
    """A page in a tab of its own, at rest."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page, self._lassos = context.new_page(), 0
        self.page.goto(address)
        self.page.wait_for_selector("h1")
        if "/map" in address or "figure=" in address:
            self.page.wait_for_selector(PLOT)
        self.rest()

    def rest(self) -> None:
        """In front, and with its script at rest."""
        self.page.bring_to_front()
        self.page.wait_for_function(REST)

    def expect(self, event: str, selector: str = "h1", *, drawn: bool = False) -> None:
        """Begin to wait for an event, and for the page's rest after it with what `selector` names."""
        self.rest()
        self.page.evaluate(UNTIL_REST, [event, selector, drawn])

    def seconds(self) -> float:
        """How long it took from the event to the rest."""
        return float(self.page.evaluate("window.benchRest"))

    def draw_around(self, share: float, selector: str) -> None:
        """Lasso a share of the points, a trifle more every other time, and begin to wait for `selector`."""
        self._lassos += 1
        self.page.locator(".st-key-map_plot .modebar-btn[data-val=lasso]").click()
        corners = self.page.evaluate(SQUARE, share + 0.002 * (self._lassos % 2))
        self.expect("pointerup", selector)
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner, steps=6)
        self.page.mouse.up()

    def close(self) -> None:
        """Close the tab, and with it its session."""
        self.page.close()


def press_r(tab: Tab) -> float:
    """Streamlit's own rerun."""
    tab.expect("keydown")
    tab.page.keyboard.press("r")
    return tab.seconds()


def show_other_half(tab: Tab) -> float:
    """Show the kept alone, or all again: the figure has to be drawn anew."""
    other = tab.page.locator(".st-key-map_show [aria-checked=false]").filter(has_text=re.compile("All|Kept")).first
    tab.expect("pointerup", drawn=True)
    other.click()
    return tab.seconds()


def lasso(tab: Tab) -> float:
    """Draw around a fifth of the points: from letting go of the mouse until the table is there."""
    if (clear := tab.page.locator(".st-key-map_clear button")).count():
        clear.click()
        tab.page.wait_for_selector(".st-key-map_selection", state="detached")
        tab.rest()
    tab.draw_around(LASSOED, ".st-key-map_table canvas")
    return tab.seconds()


def bare_lasso(tab: Tab) -> float:
    """The same on the bare figure, where nothing follows from it."""
    tab.draw_around(LASSOED, "h1")
    return tab.seconds()
