"""Typed answers, verdicts, the view in a notebook, the drill in a terminal, and the verb of `course`."""

import html
import io
import re
import subprocess
import sys
from fractions import Fraction
from random import Random

import pytest

from course_lib import cli
from course_lib.interview import arithmetic as page
from course_lib.interview.arithmetic import ArithmeticView, arithmetic, as_markdown
from course_lib.interview.arithmetic_terminal import drill, list_families
from course_lib.interview.sums.families import draw_problem, families
from course_lib.interview.sums.problem import EXACT, problem
from course_lib.interview.sums.reading import AnswerError, read_answer
from course_lib.interview.sums.units import UNITS, number, quantity
from course_lib.interview.sums.verdict import judge_answer

GIB = 2**30
CACHE = problem(
    ("A cache of {size} units?", "{size} 个单位的缓存？"),
    {"size": 3},
    3 * GIB // 2,
    "GiB",
    [],
    {"one of keys and values": 3 * GIB // 4, "one layer": GIB // 8},
)
TOKENS = problem(
    ("{side} px?", "{side} px？"),
    {"side": 336},
    576,
    "tokens",
    [],
    {"one side": 24, "class token": 577},
    tolerance=EXACT,
)
SHARE = problem(("{a}?", "{a}？"), {"a": 1}, Fraction(1, 8), "%", [], {"what is left": Fraction(7, 8)})


@pytest.mark.parametrize(
    "typed, unit, expected",
    [
        ("1.5 GiB", "GiB", 3 * GIB // 2),
        ("1.5", "GiB", 3 * GIB // 2),
        ("1.5gib", "MiB", 3 * GIB // 2),
        ("1500 MB", "GiB", 1_500_000_000),
        ("1,500 MB", "GiB", 1_500_000_000),
        ("1 500 MB", "GB", 1_500_000_000),
        ("  ≈ 1.5 GB. ", "GB", 1_500_000_000),
        ("12e9 bits", "GB", 1_500_000_000),
        ("12 Gbit", "GB", 1_500_000_000),
        ("1536 字节", "KiB", 1536),
        ("2 × 32 × 8 × 128 × 4,096 × 2 B", "MiB", 2 * 32 * 8 * 128 * 4096 * 2),
        ("2*32*8*128*2", "B", 2 * 32 * 8 * 128 * 2),
        ("2 x 3 x 4", "tokens", 24),
        ("2^30 B", "GiB", GIB),
        ("(3 + 1) * 576 tokens", "tokens", 2304),
        ("24² tokens", "tokens", 576),
        ("1½ GiB", "GiB", 3 * GIB // 2),
        ("２，３０４ 个 token", "tokens", 2304),  # full-width digits and comma
        ("3e9", "parameters", 3 * 10**9),
        ("3 × 10^9", "parameters", 3 * 10**9),
        ("3.2 billion", "parameters", 3_200_000_000),
        ("3.2B", "parameters", 3_200_000_000),
        ("3.2 B params", "parameters", 3_200_000_000),
        ("32 亿", "parameters", 3_200_000_000),
        ("32亿个参数", "parameters", 3_200_000_000),
        ("15T tokens", "tokens", 15 * 10**12),
        ("576k", "tokens", 576_000),
        ("576 tokens", "tokens", 576),
        ("1 token", "tokens", 1),
        ("8 GPUs", "GPUs", 8),
        ("8 张卡", "GPUs", 8),
        ("250 ms", "s", Fraction(1, 4)),
        ("0.25 s", "ms", Fraction(1, 4)),
        ("3 µs", "ms", Fraction(3, 10**6)),
        ("2 天", "h", 172800),
        ("1.5 days", "days", 129600),
        ("6 kbps", "kbit/s", 6000),
        ("4.2 TFLOP", "GFLOP", 4_200_000_000_000),
        ("4.2e12 FLOPs", "TFLOP", 4_200_000_000_000),
        ("3 EFLOPs", "FLOP", 3 * 10**18),
        ("$1.50", "$", Fraction(3, 2)),
        ("0.02 dollars", "$", Fraction(1, 50)),
        ("1/3", "times", Fraction(1, 3)),
        ("4x", "times", 4),
        ("007", "tokens", 7),
        ("1_000", "tokens", 1000),
        ("10⁶", "tokens", 10**6),
        ("4.2 x 10¹² FLOPs", "TFLOP", 4_200_000_000_000),
        ("5 × 10⁻³ s", "ms", Fraction(5, 1000)),
        ("24 x 24 = 576", "tokens", 576),
        ("1536 MiB = 1.5 GiB", "MiB", 3 * GIB // 2),
        ("approximately 2 GB", "GiB", 2 * 10**9),
        ("差不多 2 GB 左右", "GiB", 2 * 10**9),
        ("2 gigabytes", "GiB", 2 * 10**9),
        ("2 gibibytes", "GB", 2 * GIB),
        ("2 吉字节", "GiB", 2 * 10**9),
        ("15 亿字节", "GiB", 1_500_000_000),
        ("1.5 billion bytes", "GiB", 1_500_000_000),
        ("2 GB per GPU", "GiB", 2 * 10**9),
        ("576/image", "tokens", 576),
        ("576 visual tokens", "tokens", 576),
        ("5 million visual tokens", "tokens", 5_000_000),
        ("8 块", "GPUs", 8),
        ("rank 16", "rank", 16),
        ("x2", "times", 2),
        ("2×", "times", 2),
        ("1.5 个小时", "h", 5400),
        ("2 weeks", "days", 14 * 86400),
        ("$1.2M", "$", 1_200_000),
        ("US$ 3 thousand", "$", 3000),
        ("150 cents", "$", Fraction(3, 2)),
        ("4.2 teraflops", "GFLOP", 4_200_000_000_000),
        ("4.2 万亿次", "TFLOP", 4_200_000_000_000),
        ("120 tokens per second", "tokens/s", 120),
        ("每秒 120 个 token", "tokens/s", 120),
        ("6 kB/s", "kbit/s", 48_000),  # bytes, by its capital
        ("6 kb/s", "kbit/s", 6000),
    ],
)
def test_an_answer_is_read_with_its_unit(typed, unit, expected):
    assert read_answer(typed, unit) == (expected,)


def test_a_bare_share_may_be_a_fraction_or_a_percentage():
    assert read_answer("0.125", "%") == (Fraction(125, 1000), Fraction(125, 100000))
    assert read_answer("12.5 %", "%") == (Fraction(1, 8),)
    for typed in ("12.5", "12.5%", "0.125", "1/8", "12.6"):
        assert judge_answer(SHARE, typed).correct, typed
    assert judge_answer(SHARE, "87.5").near_miss == judge_answer(SHARE, "0.875").near_miss == "what is left"
    assert not judge_answer(SHARE, "0.125 %").correct


@pytest.mark.parametrize(
    "typed, unit, message",
    [
        ("", "GiB", "nothing typed yet; try 1.5 GiB"),
        ("   ", "GiB", "nothing typed yet"),
        ("a lot", "GiB", "no number in 'a lot'; try 1.5 GiB"),
        ("GiB", "GiB", "no number in 'GiB'"),
        ("1,5 GiB", "GiB", "the comma in '1,5' separates no group of three digits; write the decimal point as in 1.5"),
        ("12,34", "tokens", "the comma in '12,34'"),
        ("3 s", "GiB", "“s” measures time, the question asks for memory"),
        ("3 GiB", "ms", "“GiB” measures memory, the question asks for time"),
        ("3 GB", "tokens", "“GB” measures memory, the question asks for a count"),
        ("3 bananas", "GiB", "do not know the unit “bananas”; the question asks for GiB"),
        ("3 images", "tokens", "“images” measures “images”, the question asks for “tokens”"),
        ("-3 GiB", "GiB", "'-3 GiB' is not above zero"),
        ("0", "tokens", "'0' is not above zero"),
        ("3 +", "tokens", "do not know the unit"),
        ("2**", "tokens", "do not know the unit"),
        ("2*(3", "tokens", "cannot work out"),
        ("2 3", "tokens", "cannot work out '2 3'; write one number, or a product"),
        ("1/0", "tokens", "cannot work out '1/0'"),
        ("9**9**9**9", "tokens", "cannot work out"),
        ("2**0.5", "tokens", "cannot work out"),
        ("1e999", "tokens", "cannot work out '1e999'"),
        ("nan", "tokens", "no number in 'nan'"),
        ("inf GiB", "GiB", "no number in 'inf GiB'"),
        ("__import__('os')", "tokens", "no number in"),
        ("1" * 200, "tokens", "200 characters are too many for an answer"),
        ("(" * 100 + "1", "tokens", "cannot work out"),
        ("1.5 G", "GiB", "“G” may be GB (10^9) or GiB (2^30); write which of them you mean"),
        ("14 GB + 2 GB", "GiB", "more than one number with a unit in '14 GB + 2 GB'"),
        ("1 h 30 min", "h", "more than one number with a unit"),
        ("4.2 TFLOP/s", "TFLOP", "do not know the unit “TFLOP/s”"),  # a rate is no count
        ("3 million broken images", "tokens", "do not know the unit"),
    ],
)
def test_what_cannot_be_read_says_why_in_both_languages(typed, unit, message):
    with pytest.raises(AnswerError, match=re.escape(message)) as caught:
        read_answer(typed, unit)
    assert re.search("[\u4e00-\u9fff]", caught.value.text.zh)
    made = {"GiB": CACHE, "tokens": TOKENS}.get(unit)
    if made is not None:
        verdict = judge_answer(made, typed)
        assert (verdict.correct, verdict.understood, verdict.near_miss) == (False, False, None)
        assert verdict.message == caught.value.text


def test_the_right_number_of_bytes_without_its_unit_costs_nothing():
    asked = problem(("{a}?", "{a}？"), {"a": 1}, 3 * GIB, "GiB", [], {})
    for typed in ("3221225472", "3*2^30", "3.22e9"):
        verdict = judge_answer(asked, typed)
        assert (verdict.correct, verdict.understood) == (False, False), typed
        assert "That many bytes it is. The question asks for GiB" in verdict.message.en
        assert "字节" in verdict.message.zh and "GiB" in verdict.message.zh
    assert judge_answer(asked, "3221225472 B").correct
    assert judge_answer(asked, "4e9").understood and "times too large" in judge_answer(asked, "4e9").message.en


def test_no_typed_text_breaks_the_judge():
    rng = Random(11)
    alphabet = "0123456789.,eE+-*/^() ×kMGiBbT%$亿万天ms \t\n\\'\"_[]{}µ≈²½①"
    for _ in range(3000):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randint(0, 14)))
        for made in (CACHE, TOKENS, SHARE):
            verdict = judge_answer(made, text)
            assert verdict.message.en and verdict.message.zh
            assert verdict.understood or not verdict.correct


@pytest.mark.parametrize(
    "typed", ["1.5 GiB", "1.5", "1536 MiB", "1.61 GB", "1610.6 MB", "1.51", "1.49 GiB", "12.88 Gbit"]
)
def test_right_answers(typed):
    verdict = judge_answer(CACHE, typed)
    assert verdict.correct and verdict.near_miss is None
    assert verdict.message.en == "Right: 1.5 GiB." and verdict.message.zh == "正确：1.5 GiB。"


@pytest.mark.parametrize(
    "typed, slip",
    [
        ("0.75", "one of keys and values"),
        ("768 MiB", "one of keys and values"),
        ("0.125 GiB", "one layer"),
        ("1.61", "decimal for binary"),
        ("1.61 GiB", "decimal for binary"),
        ("1.5 GB", "binary for decimal"),
        ("12 GiB", "bits for bytes"),
        ("1500 GiB", "prefix too large"),
        ("1.5 MiB", None),  # a factor of 1,024, not of a thousand
        ("5 GiB", None),
    ],
)
def test_near_misses_are_named(typed, slip):
    verdict = judge_answer(CACHE, typed)
    assert not verdict.correct and verdict.understood and verdict.near_miss == slip
    assert verdict.message.en.startswith("Not quite: " if slip else "No: ")
    if slip == "one of keys and values":
        assert verdict.message.en == "Not quite: forgot the factor two: keys and values."
        assert verdict.message.zh == "差一点：漏了因子二：键和值都要存。"


def test_a_wrong_answer_says_how_far_off_it_is():
    assert "3.333 times too large" in judge_answer(CACHE, "5").message.en
    assert "偏小 3 倍" in judge_answer(CACHE, "0.5").message.zh
    assert judge_answer(CACHE, "1.55").message.en == "Close, but too high by 3.333 %: keep more digits."


def test_an_exact_count_takes_no_neighbour():
    assert judge_answer(TOKENS, "576").correct and judge_answer(TOKENS, "24^2").correct
    assert judge_answer(TOKENS, "577").near_miss == "class token"
    for typed in ("575", "576.5", "578"):
        assert not judge_answer(TOKENS, typed).correct and judge_answer(TOKENS, typed).near_miss is None


def test_numbers_are_printed_to_be_read_back():
    rng = Random(4)
    for _ in range(2000):
        value = Fraction(rng.randint(1, 10**9), rng.choice([1, 3, 8, 1000])) * 10 ** rng.randint(0, 9)
        shown = Fraction(number(value).replace(",", ""))
        assert abs(shown - value) <= value / 1000
    assert number(Fraction(8, 3)) == "2.667" and number(63 * 10**20) == "6.3e21" and number(1234567) == "1,234,567"
    assert quantity(8_030_261_248, "parameters") == "8,030,261,248 (8.03B) parameters"
    assert quantity(Fraction(1, 3), "%", "zh") == "33.33%" and quantity(Fraction(1, 50), "$") == "$0.02"


def test_units_know_their_size():
    assert UNITS["GiB"].scale / UNITS["GB"].scale == Fraction(2**30, 10**9)
    assert UNITS["days"].scale == 24 * UNITS["h"].scale and UNITS["Mbit"].scale * 8 == UNITS["MB"].scale


# --- in a notebook -----------------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    displayed = []
    monkeypatch.setattr(page, "display", displayed.append)
    return displayed


def enter(view, text):
    """What the browser sends for Enter in the box."""
    view.keys._handle_custom_msg({"typed": "answer", "text": text}, [])
    view.keys._handle_custom_msg({"key": "Enter"}, [])


def right_answer(view):
    return re.sub(r" \([\d.,]+[MBT]\)", "", view.problem.said_answer())


def wrong_answer(view):
    return f"{float(view.problem.answer / UNITS[view.problem.unit].scale * 37)!r}"


def test_a_built_notebook_shows_one_worked_example(shown, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    arithmetic("kv_gqa", 2)
    arithmetic("kv_gqa", 2)
    first, again = (each.data for each in shown)
    assert first == again == as_markdown(draw_problem("kv_gqa", 2, Random(0)))
    problem = draw_problem("kv_gqa", 2, Random(0))
    assert problem.question.en in first and problem.question.zh not in first and "<" not in first
    assert all(step.sum in first for step in problem.working[:-1])
    assert f"`{problem.said_answer()}`" in first and "2305.13245" in first
    assert all(miss.why.en in first for miss in problem.near_misses)


def test_chinese_comes_as_a_second_block(shown, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    arithmetic("cost", 1, seed=3, language="zh")
    english, chinese = (each.data for each in shown)
    problem = draw_problem("cost", 1, Random(3))
    assert problem.question.en.replace("$", r"\$") in english and problem.question.zh.replace("$", r"\$") in chinese
    assert not re.search(r"(?<!\\)\$", re.sub("`[^`]*`", "", english))  # two prices are no formula


def test_the_live_view_comes_with_the_problem_and_its_steps_folded(monkeypatch):
    shown = []
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(page, "show_view", lambda view, **static: shown.append((view, static)))
    arithmetic("zero", seed=1)
    ((view, static),) = shown
    assert [type(each).__name__ for each in view.widget.children] == ["HBox", "HTML", "HTML", "HBox", "HTML", "HTML"]
    assert html.escape(view.problem.task("en")) in static["html"] and static["text"] == view.problem.task("en")
    folded = static["html"].partition("<details>")[2]
    assert all(html.escape(step.sum) in folded for step in view.problem.working[:-1])


def test_leaving_the_box_or_a_page_that_reloads_judges_nothing_and_keeps_the_text():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    view.answer.value = "12"  # what leaving the box sends
    view.keys._handle_custom_msg(
        {"typed": "answer", "text": "12 GB"}, []
    )  # still typing, then the page is loaded again
    view.keys._handle_custom_msg({"shown": True}, [])
    assert (view.verdict, view.tried, view.answer.value) == (None, 0, "12 GB")
    view.check_button.click()
    assert view.tried == 1


def test_a_right_answer_scores_once():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    assert view.problem.question.en in view.page.value and view.steps.value == view.verdict_line.value == ""
    enter(view, right_answer(view))
    view.check_button.click()
    assert "Right: " in view.verdict_line.value and (view.right, view.tried) == (1, 1)
    assert "1 of 1" in view.score.value


def test_the_first_readable_answer_counts_and_later_ones_are_judged():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    enter(view, "a lot")
    assert "no number in &#x27;a lot&#x27;" in view.verdict_line.value
    assert view.tried == 0 and view.texts["answer"] == "a lot"  # nothing lost
    enter(view, wrong_answer(view))
    assert (view.right, view.tried) == (0, 1) and "37 times too large" in view.verdict_line.value
    enter(view, right_answer(view))
    assert (view.right, view.tried) == (0, 1) and "Right: " in view.verdict_line.value


def test_check_on_an_empty_box_asks_for_an_answer():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    view.check_button.click()
    assert "nothing typed yet" in view.verdict_line.value and view.tried == 0


def test_steps_are_shown_hidden_and_count_as_a_try():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    view.steps_button.click()
    assert (
        all(step.sum in view.steps.value for step in view.problem.working)
        and view.steps_button.description == "Hide steps"
    )
    assert (view.right, view.tried) == (0, 1)
    view.steps_button.click()
    assert view.steps.value == "" and view.tried == 1
    enter(view, right_answer(view))
    assert (view.right, view.tried) == (0, 1)


def test_next_draws_another_problem_and_clears_the_page():
    view = ArithmeticView("kv_gqa", 1, seed=1)
    first = view.problem
    enter(view, wrong_answer(view))
    view.steps_button.click()
    view.next_button.click()
    assert view.problem != first and view.problem.question.en in view.page.value
    assert view.answer.value == view.verdict_line.value == view.steps.value == "" and view.tried == 1
    assert ArithmeticView("kv_gqa", 1, seed=1).problem == first


def test_switching_the_language_keeps_everything():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    enter(view, wrong_answer(view))
    view.steps_button.click()
    view.language.value = "zh"
    assert view.problem.question.zh in view.page.value and view.problem.question.en not in view.page.value
    assert "偏大 37 倍" in view.verdict_line.value and view.problem.working[0].what.zh in view.steps.value
    assert (view.check_button.description, view.next_button.description) == ("检查", "下一题")
    assert view.texts["answer"] and (view.right, view.tried) == (0, 1)


def test_the_view_escapes_what_was_typed():
    view = ArithmeticView("kv_gqa", 2, seed=1)
    enter(view, "<script>alert()</script>")
    assert "<script>" not in view.verdict_line.value


def test_what_does_not_exist_is_refused(shown):
    with pytest.raises(ValueError, match="no problems in language 'fr'; try one of en, zh"):
        arithmetic(language="fr")
    with pytest.raises(ValueError, match="no family 'kv'"):
        ArithmeticView("kv")
    with pytest.raises(ValueError, match="step 9"):
        ArithmeticView(step=9)
    assert shown == []


# --- in a terminal -----------------------------------------------------------------------------------------------


def practise(typed, *, count=2, language="en"):
    """Run the drill on typed lines, then end the input; the score, and all that was said."""
    said, lines = [], iter(typed)

    def ask(_prompt):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    score = drill("kv_gqa", 2, count=count, seed=1, language=language, ask=ask, say=said.append)
    return score, "\n".join(said)


def answers(seed=1, count=2):
    rng = Random(seed)
    return [draw_problem("kv_gqa", 2, rng).said_answer() for _ in range(count)]


def test_the_drill_counts_first_answers():
    right = answers()
    score, text = practise([right[0], "x", "1e9 GiB", right[1]])
    assert score == (1, 2)
    assert text.count("Right: ") == 2 and "no number in 'x'" in text and "right at once: 1 of 2" in text


def test_the_drill_shows_steps_skips_and_quits():
    score, text = practise(["", "n"])
    first = draw_problem("kv_gqa", 2, Random(1))
    assert score == (0, 1) and all(step.sum in text for step in first.working)
    assert practise(["q"])[0] == (0, 0)
    score, text = practise(["1e9 GiB"])  # the input ends
    assert score == (0, 1) and "right at once: 0 of 1" in text
    score, text = practise(["1e9 GiB", "q"])
    assert score == (0, 1) and "2/2" not in text


def test_the_drill_speaks_chinese():
    score, text = practise([answers()[0], "q"], language="zh")
    assert score == (1, 1) and "正确：" in text and "成绩：一次答对：1 / 1" in text and "【GiB" in text


def test_the_drill_refuses_nonsense():
    with pytest.raises(ValueError, match="count 0: ask for one problem or more"):
        drill("zero", 1, count=0)
    lines = []
    list_families("zh", lines.append)
    assert len(lines) == len(families()) and lines[0].startswith("patches") and "切块" in lines[0]


def test_course_arithmetic(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answers(count=1)[0]}\n"))
    status = cli.main(["arithmetic", "--family", "kv_gqa", "--step", "2", "--seed", "1", "--count", "1"])
    assert status == 0 and "right at once: 1 of 1" in capsys.readouterr().out
    assert cli.main(["arithmetic", "--list"]) == 0 and "kv_mla" in capsys.readouterr().out
    assert cli.main(["arithmetic", "--family", "kv"]) == 2
    assert "no family 'kv'; there are patches" in capsys.readouterr().err


def test_the_command_runs_as_a_process():
    command = [
        sys.executable,
        "-m",
        "course_lib.cli",
        "arithmetic",
        "--family",
        "zero",
        "--language",
        "zh",
        "--seed",
        "4",
    ]
    result = subprocess.run(command, input="5 香蕉\n", capture_output=True, text=True, timeout=60, encoding="utf-8")
    assert result.returncode == 0 and "不认识单位" in result.stdout and "成绩" in result.stdout, result.stderr


def test_chinese_steps_take_the_chinese_colon():
    page = as_markdown(draw_problem("kv_gqa", 2, Random(1)), "zh")
    assert "：`" in page and ": `" not in page and "*来源：" in page
