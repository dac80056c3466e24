"""Moving every control of a live view, as a hand with a keyboard would, and saying what it did not do.

Whether something happened is not asked of a clock: the kernel answers in order, so once it has answered a question that
was asked after the key press, whatever the key press was to bring is there.
"""

from collections.abc import Callable, Iterator
from functools import partial

from playwright.sync_api import Locator, Page

ANSWERS = 3
"""A control that moves fast has one message on the way and one waiting; the third answer comes after both."""
BUTTONS = 60
"""At most; a drill could go on for ever."""
SETTLE = """async rounds => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    for (let round = 0; round < rounds; round++) await kernel.requestKernelInfo();
    await new Promise(requestAnimationFrame);
    const pictures = [...document.querySelectorAll(".jupyter-widgets img")];
    await Promise.all(pictures.map(each => each.decode().catch(() => null)));
}"""
SHOWN = """view => {
    const all = kind => [...view.querySelectorAll(kind)].filter(each => each.getClientRects().length > 0);
    const copy = view.cloneNode(true);
    copy.querySelectorAll(".widget-slider, select").forEach(each => each.remove());
    return JSON.stringify([
        all("img").map(each => each.src),
        copy.textContent,
        all("button").map(each => [each.textContent, each.disabled, each.className]),
        all("input, textarea").map(each => each.value),
    ]);
}"""
PICTURES = "view => [...view.querySelectorAll('img')].filter(each => each.complete && each.naturalWidth).length"
TROUBLE = r"""view => [...view.querySelectorAll("code, p, pre")].map(each => each.textContent)
    .find(text => /^(\w+(Error|Exception): |This failed: |Traceback )/.test(text))"""


class Hand:
    """One live view under a hand; every method yields sentences about what is wrong."""

    def __init__(self, page: Page, view: Locator) -> None:
        self.page, self.view = page, view
        self.has_picture = view.evaluate(PICTURES) > 0
        self.moved = 0

    def move_all(self) -> Iterator[str]:
        """Sliders, menus, boxes, then buttons. `moved` counts the controls."""
        yield from self.move_sliders()
        yield from self.choose()
        yield from self.tick()
        yield from self.press()

    def move_sliders(self) -> Iterator[str]:
        """To the lower end, the upper one, one step back."""
        sliders = self.view.get_by_role("slider")
        for number in range(sliders.count()):
            slider = sliders.nth(number)
            name = slider.get_attribute("aria-label") or f"number {number}"
            keys = [partial(slider.press, key) for key in ("Home", "End", "ArrowLeft")]
            yield from self._try_all(f"slider {name}", keys)

    def choose(self) -> Iterator[str]:
        """Every entry of every menu, the first one last."""
        menus = self.view.locator("select:visible")
        for number in range(menus.count()):
            menu = menus.nth(number)
            entries = [*range(1, menu.locator("option").count()), 0]
            acts = [partial(menu.select_option, index=entry) for entry in entries]
            yield from self._try_all(f"menu {menu.evaluate('each => each.computedName')}", acts)

    def tick(self) -> Iterator[str]:
        """Every box, twice."""
        boxes = self.view.get_by_role("checkbox")
        for number in range(boxes.count()):
            yield from self._try_all(f"check box {number}", [boxes.nth(number).click] * 2)

    def press(self) -> Iterator[str]:
        """Every button by its name, also those that another one brings, in the order of the page."""
        pressed: set[str] = set()
        while len(pressed) < BUTTONS:
            buttons = self.view.locator("button:visible:enabled:not(.mod-active)")
            names = buttons.evaluate_all("all => all.map(each => each.computedName)")
            number = next((number for number, name in enumerate(names) if name not in pressed), None)
            if number is None:
                return
            pressed.add(names[number])
            yield from self._try_all(f"button {names[number]}", [buttons.nth(number).click])

    def _try_all(self, control: str, acts: list[Callable[[], object]]) -> Iterator[str]:
        """At least one of the acts changes what is seen; none brings an error or takes the picture away."""
        seen, first = set(), self.view.evaluate(SHOWN)
        self.moved += 1
        for act in acts:
            act()
            self.page.evaluate(SETTLE, ANSWERS)
            seen.add(self.view.evaluate(SHOWN))
            if trouble := self.view.evaluate(TROUBLE):
                yield f"{control}: {trouble}"
            if self.has_picture and not self.view.evaluate(PICTURES):
                yield f"{control}: no picture any more"
        if not seen - {first}:
            yield f"{control}: nothing changes"
