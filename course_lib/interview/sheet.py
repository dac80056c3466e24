"""A printable sheet of one part: English and Chinese side by side, one HTML file that needs no network.

Formulas become MathML, which browsers draw themselves. A PDF is the same file printed by a browser without a window.
"""

import os
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from latex2mathml.converter import convert

from course_lib.interview.page import Part, parts_html, text_html, titles
from course_lib.interview.record import Question

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
    "chrome",
)
PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r"C:\Program Files\Microsoft\Edge\Application\msedge.exe",
    ),
}
_NAMED = re.compile(r"\\(arg|argmax|argmin|sgn|corr)(?![A-Za-z])")  # names that latex2mathml 3.81 does not know
PATIENCE = 180  # seconds for a browser to print; a part takes two
STYLE = """
@page { size: A4; margin: 14mm 12mm; }
:root { --text: #111; --soft: #555; --line: #bbb; }
body { font: 9.5pt/1.42 "Noto Sans", "Segoe UI", "Helvetica Neue", Arial, "Noto Sans CJK SC", "Source Han Sans SC",
  "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", sans-serif; color: var(--text); background: #fff;
  max-width: 190mm; margin: 0 auto; padding: 4mm; }
h1 { font-size: 17pt; margin: 0 0 2mm; }
h2 { font-size: 13pt; margin: 7mm 0 2mm; border-bottom: 1px solid var(--text); }
section { margin: 0 0 5mm; } .ask { break-after: avoid; break-inside: avoid; margin: 0 0 1mm; font-weight: bold; }
.id { color: var(--soft); font-weight: normal; }
.pair { display: grid; grid-template-columns: 11fr 9fr; column-gap: 6mm;
  border-top: 1px solid var(--line); padding: 1mm 0; }
h4 { font-size: 8pt; color: var(--soft); font-weight: normal; margin: 0; break-after: avoid; }
p { margin: 0 0 1mm; orphans: 3; widows: 3; } ul { margin: 0; padding-left: 4mm; } li { break-inside: avoid; }
.proof { color: var(--soft); font-size: 7.5pt; } .proof a { color: inherit; }
math { font: 105% "STIX Two Math", "Latin Modern Math", "Cambria Math", "DejaVu Math TeX Gyre", math; }
"""


class PrintError(RuntimeError):
    """The sheet could not be printed to a PDF; the message says what to do."""


def sheet_html(part: Part) -> str:
    """The whole page of one part."""
    lessons = "".join(
        f'<h2>{lesson.number} · {escape(lesson.title)} <span lang="zh-Hans">{escape(lesson.title_zh)}</span></h2>'
        + "".join(map(_question, questions))
        for lesson, questions in part.lessons
    )
    title = f"Part {part.number} · {escape(part.title)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Every Answer Runs · {title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>{lessons}</body></html>\n"
    )


def write_sheet(part: Part, path: Path) -> None:
    """Write the page to `path`, UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sheet_html(part), encoding="utf-8")


def print_pdf(page: Path, pdf: Path) -> None:
    """Print an HTML file to `pdf` with an installed Chromium, Chrome or Edge; PrintError when that fails."""
    advice = f"open {page} in any browser and print it to a PDF"
    browser = find_browser()
    if browser is None:
        raise PrintError(f"no Chromium, Chrome or Edge was found to print with; {advice}")
    with TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root may not use it
        printed = Path(profile, "page.pdf")  # whole, then moved: no half PDF under the name
        command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", page.resolve().as_uri()]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PrintError(f"{browser} did not print: {error}; {advice}") from error
        if not printed.is_file():
            raise PrintError(
                f"{browser} printed nothing, status {run.returncode}: {run.stderr[-400:].strip()}; {advice}"
            )
        pdf.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(printed, pdf)


def find_browser() -> str | None:
    """A browser that can print without a window: on the PATH, else where the system installs it."""
    on_path = (shutil.which(name) for name in BROWSERS)
    installed = (place for place in PLACES.get(sys.platform, ()) if Path(place).is_file())
    return next((found for found in (*on_path, *installed) if found), None)


def mathml(tex: str) -> str:
    """A formula as MathML; ValueError for a command that the converter would leave as it stands."""
    found = convert(_NAMED.sub(r"\\operatorname{\1}", tex))
    if left := re.search(r"\\[A-Za-z]+", found):
        raise ValueError(f"${tex}$ uses {left[0]}, which has no MathML here; write it another way")
    return found


def _question(question: Question) -> str:
    ask = text_html(question.question.en, mathml), text_html(question.question.zh, mathml)
    head = f'<span class="id">{question.id} · {question.depth}</span> {ask[0]}<br><span lang="zh-Hans">{ask[1]}</span>'
    english, chinese = (parts_html(question, language, mathml) for language in ("en", "zh"))
    names = titles("en"), titles("zh")
    pairs = "".join(
        f'<div class="pair"><div><h4>{names[0][part]}</h4>{english[part]}</div>'
        f'<div lang="zh-Hans"><h4>{names[1][part]}</h4>{chinese[part]}</div></div>'
        for part in english
    )
    return f'<section><p class="ask">{head}</p>{pairs}</section>'
