"""The sheet holds every question in both languages and needs nothing from outside; a PDF of it has the same glyphs."""

import functools
import re
import sys
from html import unescape

import pytest

from course_lib import cli
from course_lib.interview import page, sheet
from course_lib.interview.page import find_part
from course_lib.interview.questions import load_questions as read_questions
from course_lib.interview.sheet import PrintError, find_browser, mathml, print_pdf, sheet_html, write_sheet

load_questions = functools.cache(read_questions)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(page, "load_questions", load_questions)


def words(html):
    """The text a reader sees, white space and formulas apart."""
    without = re.sub(r"<math.*?</math>", "", html)
    return re.sub(r"\s+", "", unescape(re.sub(r"<[^>]+>", "", without)))


def plain(text):
    return re.sub(r"\s+", "", re.sub(r"\$[^$]+\$", "", text))


@pytest.mark.parametrize("number", [2, 4])
def test_every_text_of_the_part_is_on_the_page(number):
    part = find_part(number)
    seen = words(sheet_html(part))
    questions = [question for _, own in part.lessons for question in own]
    assert len(questions) >= 10
    for question in questions:
        texts = [question.question, question.answer, *question.key_points]
        texts += [each.answer for each in question.follow_ups] + [each.why for each in question.wrong_answers]
        for text in texts:
            assert plain(text.en) in seen and plain(text.zh) in seen, text.en


def test_the_page_needs_nothing_from_outside():
    html = sheet_html(find_part(2))
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(|src=", html)
    unlinked = re.sub(r'<a href="https://[^"]*">', "", html)  # a click needs the network, the page does not
    assert re.findall(r"https?://[^\"' <]+", unlinked) == ["http://www.w3.org/1998/Math/MathML"] * html.count("<math")
    assert "@page" in html and '<meta charset="utf-8">' in html


def test_every_formula_of_the_bank_becomes_mathml():
    for question in load_questions():
        for text in (question.answer.en, *(point.en for point in question.key_points)):
            for tex in re.findall(r"\$([^$]+)\$", text):
                found = mathml(tex)
                assert found.startswith("<math") and "\\" not in re.sub(r"&#x[0-9A-F]+;", "", found), tex


def test_a_command_without_mathml_is_refused():
    with pytest.raises(ValueError, match=r"uses \\unheardof, which has no MathML"):
        mathml(r"x + \unheardof")
    assert "\\" not in mathml(r"\arg\max_k x_k") and "arg" in mathml(r"\arg\max_k x_k")


def test_a_formula_keeps_its_structure():
    found = mathml(r"\sqrt{d_k}")
    assert re.search(r"<msqrt>.*<msub><mi>d</mi><mi>k</mi></msub>.*</msqrt>", found)


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"no part 77 with questions; there are .*2 Representation and fusion"):
        find_part(77)


def test_without_a_browser_it_says_how_to_print(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sheet, "find_browser", lambda: None)
    out = tmp_path / "p.html"
    assert cli.main(["export", "sheet", "--part", "2", "--pdf", "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{out}\n" and out.is_file()
    assert f"open {out} in any browser and print it to a PDF" in said.err


def test_a_browser_that_fails_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "find_browser", lambda: sys.executable)  # takes no such arguments
    with pytest.raises(PrintError, match=r"(?s)printed nothing, status 2.*open .* in any browser"):
        print_pdf(tmp_path / "p.html", tmp_path / "p.pdf")
    assert not (tmp_path / "p.pdf").exists()


def test_a_browser_is_found_where_the_system_installs_it(tmp_path, monkeypatch):
    installed = tmp_path / "chrome"
    installed.write_text("")
    monkeypatch.setattr(sheet.shutil, "which", lambda name: None)
    monkeypatch.setattr(sheet, "PLACES", {sys.platform: (str(tmp_path / "none"), str(installed))})
    assert find_browser() == str(installed)


@pytest.mark.skipif(find_browser() is None, reason="no Chromium, Chrome or Edge to print with")
def test_the_pdf_is_whole_and_brings_its_fonts(tmp_path, capsys):
    out = tmp_path / "part.html"
    assert cli.main(["export", "sheet", "--part", "8", "--pdf", "--out", str(out)]) == 0
    content = (tmp_path / "part.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3
    fonts = {font.decode() for font in re.findall(rb"/BaseFont\s*/[A-Z]{6}\+([\w-]+)", content)}
    assert len(fonts) >= 2, fonts  # for Latin and for Chinese at least


@pytest.mark.skipif(find_browser() is None, reason="no Chromium, Chrome or Edge to print with")
def test_the_html_alone_is_enough_to_print(tmp_path):
    write_sheet(find_part(8), tmp_path / "a b.html")  # a space in the name
    print_pdf(tmp_path / "a b.html", tmp_path / "deep" / "a.pdf")
    assert (tmp_path / "deep" / "a.pdf").stat().st_size > 50_000
