"""What every browser test needs: the mark, playwright, a Chromium. Import it before anything else of this folder."""

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -e '.[test]'")

from browser.lab import PATIENCE  # noqa: E402
from browser.window import CHROMIUM, SECONDS  # noqa: E402

expect = playwright.expect
expect.set_options(timeout=PATIENCE * SECONDS)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]
