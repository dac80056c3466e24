"""Case 04, labels for instruction tuning."""

from types import SimpleNamespace as Program

from course_lib.clinic.case import Case


def keeps_the_input(program: Program) -> None:
    """BOS, prompt, answer, EOS."""
    ids, labels = program.make_example([7, 8, 9, 7], [5, 6])
    assert ids == [1, 7, 8, 9, 7, 5, 6, 2], "the model must still read the prompt: mask the labels, not the ids"
    assert len(labels) == len(ids), "labels stand where their word stands, so there are as many as ids"


def learns_the_answer_alone(program: Program) -> None:
    """Labels, for a prompt that holds the answer's words too."""
    prompt, answer = [5, 6, 9, 5], [5, 6]
    ids, labels = program.make_example(prompt, answer)
    counted = [t for t in range(1, len(labels)) if labels[t] != program.IGNORE]  # the loss drops place 0
    moved = all(labels[t] == ids[t + 1] for t in counted if t + 1 < len(ids)) and labels[-1] == program.IGNORE
    assert not (counted and moved), "shifted twice: the loss shifts already, so a label stands where its word stands"
    assert counted and labels[-1] == 2, "EOS is not learnt any more: the model will never stop"
    assert not set(counted) & set(range(1, 5)), (
        "words of the prompt are still counted: the loss is mostly about a text that stays the same"
    )
    assert counted != [7], (
        "words of the answer that the prompt holds too are not learnt: mask by place, 1 + len(prompt), not by word"
    )
    assert 5 in counted, "the first word of the answer is not learnt: the mask is one too long"
    assert [labels[t] for t in counted] == [ids[t] for t in counted], "a label is the id at its place; the loss shifts"
    assert len(counted) == 3, "only the answer and EOS are learnt, every word of them"


_LABELS = "    return ids, list(ids)"

CASE = Case(
    number="04",
    title="labels for instruction tuning",
    complaint="The loss went down to 0.3 at once. The answers are no better than a guess.",
    stages=(keeps_the_input, learns_the_answer_alone),
    original="words of the prompt are still counted",
    repair=((_LABELS, "    return ids, [IGNORE] * (1 + len(prompt)) + ids[1 + len(prompt) :]"),),
    wrong={
        "mask the labels, not the ids": (
            (
                _LABELS,
                "    return [BOS, *[PAD] * len(prompt), *answer, EOS], [IGNORE] * (1 + len(prompt)) + [*answer, EOS]",
            ),
        ),
        "the mask is one too long": (
            (_LABELS, "    return ids, [IGNORE] * (2 + len(prompt)) + ids[2 + len(prompt) :]"),
        ),
        "the model will never stop": ((_LABELS, "    return ids, [IGNORE] * (1 + len(prompt)) + answer + [IGNORE]"),),
        "words of the prompt are still counted": (
            (_LABELS, "    return ids, [IGNORE if word in SYSTEM or word == BOS else word for word in ids]"),
        ),
        "mask by place": ((_LABELS, "    return ids, [IGNORE if word in [BOS, *prompt] else word for word in ids]"),),
        "shifted twice": ((_LABELS, "    return ids, [IGNORE] * len(prompt) + [*answer, EOS, IGNORE]"),),
        "as many as ids": ((_LABELS, "    return ids, [*answer, EOS]"),),
        "the warning was the only one": (
            (_LABELS, "    import warnings\n\n    warnings.simplefilter('ignore')\n    return ids, list(ids)"),
        ),
    },
    hints=(
        "How many labels of an example are counted, and how many of them belong to the answer?",
        "Which word is the first that should be learnt? The loss shifts, so its label stands at its own place.",
        "[IGNORE] * (1 + len(prompt)), then the ids from 1 + len(prompt) on: the answer and EOS.",
    ),
    defect="trained on the prompt: 15 of 17 labels were text that the model is given anyway, so the mean loss was "
    "about the prompt. In instruction tuning the prompt gets -100, EOS does not",
    met=("LLaVA, visual instruction tuning <https://arxiv.org/abs/2304.08485>",),
    difficulty=1,
    minutes=6,
)
