"""What a person does on a page, done in Chromium, and the seconds until the page rests with the outcome on screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

# Counts what the server sends. A page that is busy drawing may hear of a run's begin and end at once, and never show it
# as running: it rests then when it has heard something and nothing more came for a while.
HEARD = """() => {
    window.benchHeard = {messages: 0, at: 0};
    const note = () => { window.benchHeard = {messages: window.benchHeard.messages + 1, at: performance.now()}; };
    const Plain = window.WebSocket;
    window.WebSocket = class extends Plain {
        constructor(...all) { super(...all); this.addEventListener("message", note); }
    };
}"""
REST = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
# From the event on: the script has run and rests, `selector` is there, the figure is another one if it should be, and
# the frame that shows it all is out.
UNTIL_REST = """([event, selector, drawn]) => {
    const app = document.querySelector("[data-testid=stApp]");
    const legend = () => document.querySelector(".st-key-map_plot .legend")?.textContent;
    const before = drawn ? legend() : null;
    window.benchRest = new Promise((resolve, reject) => addEventListener(event, ({timeStamp}) => {
        setTimeout(() => reject(new Error(`${selector} was not there a minute after ${event}`)), 60000);
        const heard = window.benchHeard.messages;
        let began = false, last = timeStamp;
        const shown = () => app.dataset.testScriptState === "notRunning" && document.querySelector(selector)
            && !(drawn && [before, undefined].includes(legend()));
        const end = at => { watch.disconnect(); clearInterval(quiet); resolve((at - timeStamp) / 1000); };
        const framed = act => requestAnimationFrame(() => setTimeout(act));
        const look = () => {
            began ||= app.dataset.testScriptState !== "notRunning";
            if (began && shown()) framed(() => end(performance.now()));
            else framed(() => { last = performance.now(); });
        };
        const watch = new MutationObserver(look);
        const quiet = setInterval(() => {
            const since = performance.now() - Math.max(last, window.benchHeard.at);
            if (window.benchHeard.messages > heard && shown() && since > 400) end(last);
        }, 50);
        watch.observe(app, {attributes: true, childList: true, subtree: true});
    }, {capture: true, once: true}));
}"""
# Pixels of the corners of a square around the middle of the plot that holds a fifth of what is spread over it.
SQUARE = """() => {
    const plot = document.querySelector(".st-key-map_plot .js-plotly-plot"), frame = plot.getBoundingClientRect();
    const {xaxis: x, yaxis: y} = plot._fullLayout, half = Math.sqrt(0.2);
    return [[-half, -half], [half, -half], [half, half], [-half, half], [-half, -half]].map(
        ([a, b]) => [frame.left + x._offset + x.d2p(a), frame.top + y._offset + y.d2p(b)]);
}"""
# How often the figure that is on screen had been cleared.
CLEARED = "() => document.querySelector('.st-key-map_plot .js-plotly-plot')?._fullLayout?.meta"
ARMED = "() => document.querySelector('.st-key-map_plot .js-plotly-plot')?._fullLayout?.dragmode === 'lasso'"
PLOT = ".st-key-map_plot .js-plotly-plot .nsewdrag"


class Tab:
    """A page in a tab of its own, at rest."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page = context.new_page()
        self.page.add_init_script(f"({HEARD})()")
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

    def draw_around_a_fifth(self, selector: str) -> float:
        """Lasso a fifth of the points, after what was drawn before is cleared; seconds until `selector` is there."""
        clear = self.page.locator(".st-key-map_clear button")
        self.page.bring_to_front()
        if clear.count():
            before = self.page.evaluate(CLEARED)
            clear.click()
            self.page.wait_for_function(f"before => ![before, undefined].includes(({CLEARED})())", arg=before)
            self.page.wait_for_selector(".st-key-map_table, .st-key-map_curve", state="detached")
            self.rest()
        self.page.locator(".st-key-map_plot .modebar-btn[data-val=lasso]").click()
        self.page.wait_for_function(ARMED)
        corners = self.page.evaluate(SQUARE)
        self.expect("pointerup", selector)
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner, steps=6)
        self.page.mouse.up()
        return self.seconds()

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
    """Draw around a fifth of the points: from letting go of the mouse until the table of them is there."""
    return tab.draw_around_a_fifth(".st-key-map_table canvas")


def lasso_and_curve(tab: Tab) -> float:
    """The same until the curve of the batches that hold them is there, which comes after the table."""
    return tab.draw_around_a_fifth(".st-key-map_curve .main-svg")


def bare_lasso(tab: Tab) -> float:
    """The same on the bare figure, where nothing follows from it."""
    return tab.draw_around_a_fifth("h1")
