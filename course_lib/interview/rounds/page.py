"""What stands on the screen at a node: the question, what is revealed after the answer, what is marked.

Views draw it; nothing here knows widgets or terminals.
"""

from functools import cached_property
from random import Random
from typing import NamedTuple

from course_lib.interview.answer import WORDS, Line, blocks
from course_lib.interview.arithmetic import WORDS as SUM_WORDS
from course_lib.interview.arithmetic import heading, worked_lines
from course_lib.interview.questions import load_questions
from course_lib.interview.record import Question, Text
from course_lib.interview.rounds import coding, tiny_vlm
from course_lib.interview.rounds.project import GRILL, TINY_VLM, opening_line
from course_lib.interview.rounds.rubric import DIMENSIONS, JUDGED, dimensions_of
from course_lib.interview.rounds.state import Node, State
from course_lib.interview.rounds.words import PAGE_WORDS, VIEW_WORDS
from course_lib.interview.sums.families import families
from course_lib.interview.sums.problem import Problem
from course_lib.lesson.exercises import Exercise

Block = tuple[str, list[Line]]
OPENING = Text(
    "Tell me about yourself and one project, in two minutes.",
    "用两分钟介绍你自己和一个项目。",
)
OPENING_POINTS = (
    Text("Who you are in one sentence, and why this role.", "一句话说明你是谁，为什么想要这个职位。"),
    Text(
        "One project: the problem, what goes in and out, your own part.",
        "一个项目：要解决的问题、输入输出、你自己做的部分。",
    ),
    Text("A result as a number, with the baseline beside it.", "一个有数字的结果，旁边给出基线。"),
    Text("What did not work, or what you would do differently.", "什么没有成功，或者你会怎样改做。"),
    Text("You stopped by yourself before two minutes were over.", "两分钟之内自己收住。"),
)
OPENING_HARD = Text(
    "What was the hardest decision in that project, and what would you decide today?",
    "这个项目里最难的决定是什么？换到今天你会怎么定？",
)
OPENING_HARD_POINTS = (
    Text("Two options that both had something for them.", "两个各有道理的选项。"),
    Text("What you knew then, and what you know now.", "当时知道什么，现在又知道什么。"),
)
OPENING_DIMENSIONS = ("definition", "limits", "number")
FOLLOW_UP = ("mechanism", "limits")


class Page(NamedTuple):
    """A node in one language."""

    lead: str
    """A line before the question; may be empty."""
    question: str
    revealed: list[Block]
    dimensions: tuple[str, ...]
    source: Question | None = None
    """The bank's record, for its links."""
    code: str = ""
    """Revealed below the rest: a reference solution."""


class MissingMaterial(LookupError):
    """A resumed interview names something that the course no longer has."""


class Material:
    """The bank and the exercises, read once."""

    @cached_property
    def bank(self) -> dict[str, Question]:
        """Questions by id."""
        return {question.id: question for question in load_questions()}

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        """Exercises by id."""
        return coding.load_exercises()

    def question(self, id: str) -> Question:
        """A question of the bank."""
        return self._found(self.bank, id)

    def exercise(self, id: str) -> Exercise:
        """An exercise of the lessons."""
        return self._found(self.exercises, id)

    def problem(self, item: str) -> Problem:
        """The sum "family/step/seed": the same item always draws the same numbers."""
        family, step, seed = item.split("/")
        return self._found(families(), family).problem(Random(int(seed)), int(step))

    def _found(self, among: dict, id: str) -> object:
        if id not in among:
            raise MissingMaterial(
                f"{id} is not in the course any more, so this mock interview cannot go on; end it to get its "
                "report, or drop it"
            )
        return among[id]


def dimensions_at(material: Material, node: Node) -> tuple[str, ...]:
    """What is marked at a node."""
    step, _, dimension = node.step.partition(":")
    if step == "probe":
        return (dimension,)
    if step in JUDGED:
        return JUDGED[step]
    if step == "main":
        if node.round == "depth":
            return dimensions_of(material.question(node.item))
        return GRILL[node.item].dimensions if node.round == "project" else OPENING_DIMENSIONS
    if node == Node("opening", "opening", "hard"):
        return ("limits", "trade-off")
    return {"form": (), "cost": ("limits", "number"), "explain": ("mechanism",)}.get(step, FOLLOW_UP)


def page_of(material: Material, state: State, node: Node, language: str) -> Page:
    """The page at a node; MissingMaterial when the course no longer has what it names."""
    draw = {"opening": _opening, "depth": _depth, "arithmetic": _sum, "coding": _code, "project": _project}
    return draw[node.round](material, state, node, language)._replace(dimensions=dimensions_at(material, node))


def _opening(_material: Material, _state: State, node: Node, language: str) -> Page:
    hard = node.step == "hard"
    probe = node.step.partition(":")[2]
    question = DIMENSIONS[probe].probe if probe else OPENING_HARD if hard else OPENING
    points = _points(OPENING_HARD_POINTS if hard else OPENING_POINTS, language)
    return Page("", question[language], [(PAGE_WORDS[language]["holds"], points)], ())


def _depth(material: Material, state: State, node: Node, language: str) -> Page:
    question, words = material.question(node.item), PAGE_WORDS[language]
    step, _, dimension = node.step.partition(":")
    if step == "main":
        told = blocks(question, language, ("answer", "key_points"))
        if question.frequency is not None:
            told.append((words["asked"], [Line("", question.frequency.text[language])]))
        lead = f"{question.id} · {WORDS[language][question.depth]} · {lessons_of(question, language)}"
        return Page(lead, question.question[language], told, (), question)
    about = words["about"].format(question.question[language])
    if step == "probe":
        points = blocks(question, language, ("key_points",))
        return Page(about, DIMENSIONS[dimension].probe[language], points, (), question)
    if step == "refute":
        wrong = question.wrong_answers[state.script.seed % len(question.wrong_answers)]
        why = [Line("", wrong.why[language], wrong.evidence)]
        said = words["refute"].format(wrong.statement[language])
        return Page(about, said, [(words["why_wrong"], why)], (), question)
    asked = question.follow_ups[0 if step == "first" else -1]
    answer = [Line("", asked.answer[language])]
    return Page(about, asked.question[language], [(words["answer"], answer)], (), question)


def _sum(material: Material, _state: State, node: Node, language: str) -> Page:
    problem = material.problem(node.item)
    steps = [
        Line("", f"{what}{SUM_WORDS[language]['colon']}{total}") for what, total in worked_lines(problem, language)
    ]
    return Page(heading(problem, language), problem.task(language), [(PAGE_WORDS[language]["steps"], steps)], ())


def _code(material: Material, _state: State, node: Node, language: str) -> Page:
    exercise, words = material.exercise(node.item), PAGE_WORDS[language]
    dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    title = f"{exercise.id} · {dots} · {exercise.minutes} {VIEW_WORDS[language]['minutes']}"
    told = [(words["hints"], [Line("", hint) for hint in exercise.hints])] if exercise.hints else []
    if node.step == "code":
        return Page(title, exercise.task, told, (), code=coding.solution(exercise))
    name, _ = coding.signature(exercise)
    return Page(title, words[node.step].format(name), told, (), code=coding.solution(exercise))


def _project(_material: Material, state: State, node: Node, language: str) -> Page:
    words, form = PAGE_WORDS[language], state.form or {}
    if node.step == "form":
        return Page(words["why_project"], words["form"], [], ())
    topic = GRILL[node.item]
    probe, hard = node.step.partition(":")[2], node.step == "hard"
    question = DIMENSIONS[probe].probe if probe else topic.hard if hard else topic.question
    told = [(words["holds"], _points(topic.hard_points if hard else topic.points, language))]
    if form.get("project") == TINY_VLM and (known := tiny_vlm.facts(node.item)):
        told.append((words["facts"], _points(known, language)))
    lead = opening_line(node.item, form, language)
    title = topic.title[language]
    return Page(
        f"{title[0].upper()}{title[1:]}. {lead}" if language == "en" else f"{title}：{lead}",
        question[language],
        told,
        (),
    )


def _points(points: tuple[Text, ...] | list[Text], language: str) -> list[Line]:
    return [Line("", point[language]) for point in points]


def lessons_of(question: Question, language: str) -> str:
    """Label of a question's lesson, "lesson 07"."""
    return f"第 {question.lesson} 课" if language == "zh" else f"lesson {question.lesson}"
