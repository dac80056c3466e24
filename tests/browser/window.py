"""Headless Chromium, driven by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from browser.lab import PATIENCE
from playwright.sync_api import BrowserContext, sync_playwright

SECONDS = 1000  # playwright counts milliseconds
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--enable-blink-features=ComputedAccessibilityInfo",  # the names that a screen reader says: element.computedName
]


@contextmanager
def opened(width: int, height: int) -> Iterator[BrowserContext]:
    """A browser whose pages have this size, in CSS pixels."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        window = chromium.new_context(viewport={"width": width, "height": height})
        window.set_default_timeout(PATIENCE * SECONDS)
        yield window
        chromium.close()
