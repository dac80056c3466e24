"""The glossary is whole in both languages, finds a term under any of its names, and helps with a slip."""

import re
from collections import Counter

import pytest

from course_lib.interview import glossary
from course_lib.interview.glossary import as_markdown, find_term, load_glossary, suggest, term
from course_lib.lesson.syllabus import load_lessons

TERMS = load_glossary()
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    "name, found",
    [
        ("modality gap", "modality gap"),
        ("Modality Gap", "modality gap"),
        ("模态鸿沟", "modality gap"),
        ("cross attention", "cross-attention"),
        ("Cross–Attention", "cross-attention"),
        ("互注意力", "cross-attention"),
        ("stochastic depth", "DropPath"),
        ("adamw", "AdamW"),
        ("r@1", None),
        ("查准率", "precision"),
        (" R@K ", "Recall@K"),
    ],
)
def test_a_term_is_found_under_any_of_its_names(name, found):
    if found is None:
        with pytest.raises(LookupError):
            find_term(name)
    else:
        assert find_term(name).term == found


@pytest.mark.parametrize(
    "typo, meant",
    [
        ("modalty gap", "modality gap"),
        ("normalization", "normalisation"),
        ("crossentropy", None),
        ("droput", "dropout"),
    ],
)
def test_a_slip_gets_the_term_suggested(typo, meant):
    if meant is None:
        assert find_term(typo).term == "cross-entropy"
        return
    with pytest.raises(LookupError, match=f"no term '{typo}'; near: .*{meant}"):
        find_term(typo)
    assert suggest(typo, TERMS)[0] == meant


def test_part_of_a_name_is_enough_for_a_suggestion():
    assert "attention sink" in suggest("sink", TERMS)
    assert "attention sink" in suggest("汇聚", TERMS)
    assert "multi-task learning" not in suggest("kl", TERMS)  # "multi-tas[k l]earning" begins no word there


def test_an_abbreviation_people_say_is_found():
    assert find_term("KL").term == "KL divergence"


def test_nonsense_is_told_so():
    with pytest.raises(LookupError, match=rf"no term 'qqxx'; the glossary has {len(TERMS)} terms"):
        find_term("qqxx")


def test_it_is_shown_in_a_notebook(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(glossary, "display", shown.append)
    term("模态鸿沟")
    page = shown[0].data
    found = find_term("modality gap")
    assert page == as_markdown(found)
    assert all(text in page for text in (found.term, found.zh, found.definition.en, found.definition.zh, "lesson 06"))
    term("modalty gap")
    assert len(shown) == 1 and "near: modality gap" in capsys.readouterr().out


# --- the file -----------------------------------------------------------------------------------------------------


def test_there_are_enough_terms_and_every_lesson_exists():
    assert len(TERMS) >= 300
    assert {each.lesson for each in TERMS} <= {lesson.number for lesson in load_lessons()}
    assert len({each.lesson for each in TERMS}) >= 25


def test_no_name_means_two_things():
    names = Counter(
        glossary._key(name) for each in TERMS for name in {glossary._key(n): n for n in each.names}.values()
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_terms_are_in_alphabetical_order():
    assert [each.term for each in TERMS] == sorted((each.term for each in TERMS), key=str.lower)


@pytest.mark.parametrize("each", TERMS, ids=lambda each: each.term)
def test_a_definition_is_one_line_in_each_language(each):
    english, chinese = each.definition.en, each.definition.zh
    assert 5 <= len(english.split()) <= 40 and english.endswith(".") and not HAN.search(english)
    assert 8 <= len(HAN.findall(chinese)) <= 70 and chinese.endswith("。")
    assert not re.search(r"[\n$`*_<>]", english + chinese)
    assert not re.search(r"[\u4e00-\u9fff][,;:]", chinese), "full-width punctuation between Chinese characters"
    assert not english.lower().startswith(f"{each.term.lower()} is"), "the definition does not repeat the term"


@pytest.mark.parametrize("each", TERMS, ids=lambda each: each.term)
def test_both_languages_give_the_same_numbers(each):
    numbers = [Counter(re.findall(r"\d+(?:\.\d+)?", text)) for text in (each.definition.en, each.definition.zh)]
    if "per cent" not in each.definition.en:
        assert set(numbers[0]) == set(numbers[1])


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "F1 score", "normalisation", "standardisation"])
def test_terms_that_chinese_sources_mix_up_have_names_of_their_own(name):
    zh = {"accuracy": "准确率", "precision": "精确率", "recall": "召回率", "F1 score": "F1 值"}
    zh |= {"normalisation": "归一化", "standardisation": "标准化"}
    assert find_term(name).zh == zh[name] and find_term(zh[name]).term == name
