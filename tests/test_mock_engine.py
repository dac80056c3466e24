"""The mock interview's engine under scripted answers: the follow-up tree, the clock, pauses, what a log leaves."""

from datetime import UTC, datetime, timedelta

import pytest

from course_lib.interview.record import Text
from course_lib.interview.rounds.rubric import Points, by_dimension, check_marks, total, weakest
from course_lib.interview.rounds.script import KINDS, MINUTES, Round, Script, read_script
from course_lib.interview.rounds.state import Event, Node, elapsed, follow_up, read_event, replay

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ITEMS = {
    "opening": ("opening",),
    "depth": ("Q001", "Q002", "Q003"),
    "arithmetic": ("kv_gqa/2/7",),
    "coding": ("07.1 fuse",),
    "project": ("metric", "data", "cost", "failure", "frozen"),
}
COUNTS = {"opening": 1, "depth": 3, "arithmetic": 1, "coding": 1, "project": 4}
SCRIPT = Script(
    45,
    tuple(Round(kind, MINUTES[45][kind], ITEMS[kind], COUNTS[kind]) for kind in KINDS),
    "onsite",
    None,
    5,
    Text("why", "为什么"),
)
WEAK, MIDDLE, STRONG = (
    {"definition": a, "mechanism": b, "limits": 1} for a, b in ((1, 0), (1, 1), (2, 2))
)  # 2, 3 and 5 of 6


class Log:
    """Events with a time that moves when the test says so."""

    def __init__(self, script=SCRIPT):
        self.script, self.now, self.events = script, START, []
        self.add("start")

    def add(self, kind, after=0, data=None):
        self.now += timedelta(seconds=after)
        at_node = kind in ("reveal", "rate", "answer", "run", "form", "leave")
        self.events.append(Event(kind, self.now, self.state.current if at_node else None, data))
        return self.state

    def answer(self, marks, after=60):
        self.add("reveal", after / 2)
        return self.add("rate", after / 2, {"marks": marks})

    @property
    def state(self):
        return replay(self.script, self.events)

    def steps(self):
        return [(node.item, node.step) for node in self.state.facts]


def at_depth():
    log = Log()
    log.answer(MIDDLE)  # no follow-up to a middling opening
    assert log.state.current == Node("depth", "Q001", "main")
    return log


# --- the tree -----------------------------------------------------------------------------------------------------


def test_a_weak_answer_gets_a_probe_at_its_weakest_part_and_then_the_next_question():
    log = at_depth()
    assert log.answer(WEAK).current.step == "probe:mechanism"
    assert log.answer({"mechanism": 0}).current == Node("depth", "Q002", "main")


def test_a_probe_that_is_answered_leads_back_to_the_first_follow_up():
    log = at_depth()
    log.answer(WEAK)
    assert log.answer({"mechanism": 1}).current.step == "first"


def test_a_middling_answer_gets_the_first_follow_up_and_the_wrong_answer_only_if_that_is_strong():
    for marks, following in ((MIDDLE, Node("depth", "Q002", "main")), (STRONG, Node("depth", "Q001", "refute"))):
        log = at_depth()
        assert log.answer(MIDDLE).current.step == "first"
        assert log.answer(marks).current == following
    assert log.answer(STRONG).current == Node("depth", "Q002", "main")  # refuted: done


@pytest.mark.parametrize("seed", [5, 6])
def test_a_strong_answer_gets_the_harder_follow_up_and_the_wrong_answer_in_an_order_the_seed_decides(seed):
    log = Log(SCRIPT._replace(seed=seed))
    for marks in (MIDDLE, STRONG, STRONG, STRONG):
        log.answer(marks)
    steps = [step for item, step in log.steps() if item == "Q001"]
    expected = {True: ["main", "hard", "refute"], False: ["main", "refute", "hard"]}
    assert steps == expected[(seed + sum(b"Q001")) % 2 == 1]
    assert log.state.current == Node("depth", "Q002", "main")


def test_a_strong_answer_whose_harder_follow_up_fails_is_done_with():
    log = at_depth()
    log.answer(STRONG)
    assert log.answer(WEAK).current == Node("depth", "Q002", "main")


@pytest.mark.parametrize(
    ("node", "marks", "step"),
    [
        (Node("coding", "07.1 fuse", "code"), {"mechanism": 2}, "cost"),
        (Node("coding", "07.1 fuse", "code"), {"mechanism": 1}, "explain"),
        (Node("coding", "07.1 fuse", "cost"), {"limits": 2, "number": 2}, None),
        (Node("arithmetic", "kv_gqa/2/7", "sum"), {"number": 2}, None),
        (Node("project", "data", "main"), {"definition": 2, "limits": 1, "number": 0}, None),
        (Node("project", "data", "main"), {"definition": 2, "limits": 0, "number": 0}, "probe:limits"),
        (Node("project", "data", "main"), {"definition": 2, "limits": 2, "number": 1}, "hard"),
        (Node("project", "data", "hard"), {"mechanism": 2, "limits": 2}, None),
    ],
)
def test_the_tree_of_the_other_rounds(node, marks, step):
    state = Log().state
    state.facts[node] = type(state.fact)(True, marks)
    assert follow_up(state, node) == step


def to_project(form):
    log = at_depth()
    for _ in range(3):
        log.add("leave")
    assert log.state.current == Node("project", "form", "form")
    return log, log.add("form", 300, form)


def test_the_project_round_asks_first_about_what_the_form_leaves_empty():
    written = dict.fromkeys(ITEMS["project"], "something") | {"what": "x"}
    assert to_project(written)[1].current.item == "metric"
    assert to_project(written | {"failure": " ", "cost": ""})[1].current.item == "cost"
    assert to_project({"project": "tiny_vlm"})[1].current.item == "metric"


def test_a_whole_interview_ends_after_the_fourth_of_five_topics():
    log, state = to_project({"project": "tiny_vlm"})
    for _ in range(4):
        assert state.status == "running"
        state = log.answer(MIDDLE)
    assert (state.status, state.current) == ("over", None)
    assert "frozen" not in {item for item, _ in log.steps()}


# --- the clock ----------------------------------------------------------------------------------------------------


def test_time_goes_to_the_round_in_which_it_passed():
    log = Log()
    log.answer(MIDDLE, after=100)
    log.answer(MIDDLE, after=70)
    state = log.state
    assert (state.seconds["opening"], state.seconds["depth"], state.used) == (100, 70, 170)
    assert elapsed(state, log.now + timedelta(seconds=9)) == (79, 179)


def test_a_pause_does_not_count_and_is_counted():
    log = at_depth()
    assert log.add("pause", 20).status == "paused"
    assert elapsed(log.state, log.now + timedelta(hours=3)) == (20, 80)
    log.add("go_on", 3600)
    state = log.answer(MIDDLE, after=30)
    assert (state.seconds["depth"], state.pauses, state.status) == (50, 1, "running")


def test_the_gap_before_a_reopening_does_not_count():
    log = at_depth()
    log.add("reveal", 30)
    state = log.add("reopen", 86400)
    assert (state.seconds["depth"], state.interruptions, state.fact.revealed) == (30, 1, True)
    assert log.add("rate", 10, {"marks": MIDDLE}).seconds["depth"] == 40


def test_filling_in_the_form_does_not_count():
    assert to_project({"project": "tiny_vlm"})[1].seconds["project"] == 0


def test_a_question_that_took_more_than_its_share_gets_no_follow_up():
    share = 14 * 60 / 3
    for after, following in ((share - 1, ("Q001", "first")), (share, ("Q002", "main"))):
        current = at_depth().answer(MIDDLE, after=after).current
        assert (current.item, current.step) == following


def test_a_round_whose_time_is_up_asks_nothing_more_and_an_answer_is_never_cut_off():
    log = at_depth()
    log.add("reveal", 20 * 60)
    assert log.state.current == Node("depth", "Q001", "main")
    state = log.add("rate", 1, {"marks": STRONG})
    assert state.current.round == "arithmetic"
    assert "Q002" not in {node.item for node in state.facts}


def test_when_the_interview_is_over_time_no_further_round_begins():
    log = Log()
    assert log.answer(MIDDLE, after=45 * 60 - 1).current.round == "depth"
    log = Log()
    state = log.answer(MIDDLE, after=45 * 60)
    assert (state.status, state.current) == ("over", None)


def test_a_clock_that_was_set_back_takes_no_time_away():
    log = at_depth()
    assert log.add("reveal", -500).seconds["depth"] == 0


# --- the log ------------------------------------------------------------------------------------------------------


def test_events_and_scripts_come_back_from_the_log_as_they_went_in():
    node = Node("depth", "Q001", "main")
    for event in (Event("rate", START, node, {"marks": WEAK}), Event("pause", START)):
        assert read_event(event.as_json(), START) == event
    assert read_script(SCRIPT.as_json()) == SCRIPT


def test_a_log_with_a_hole_still_says_where_it_stands():
    log = at_depth()
    for marks in (MIDDLE, STRONG, STRONG):
        log.answer(marks)
    whole = log.state
    holed = replay(SCRIPT, [event for event in log.events if event.node is None or event.node.step != "first"])
    assert holed.current == whole.current == Node("depth", "Q002", "main")
    assert Node("depth", "Q001", "first") not in {node for node, fact in holed.facts.items() if fact.marks}


# --- the rubric ---------------------------------------------------------------------------------------------------


def test_totals_by_hand():
    answers = [{"definition": 2, "number": 0}, {"definition": 1, "limits": 2, "number": 1}]
    assert total(answers) == Points(6, 10)
    assert by_dimension(answers) == {"definition": Points(3, 4), "limits": Points(2, 2), "number": Points(1, 4)}
    assert weakest({"number": 1, "limits": 1, "definition": 2}) == "limits"  # of equals the first


@pytest.mark.parametrize(
    ("earned", "weak", "strong"), [(3, True, False), (4, False, False), (5, False, False), (6, False, True)]
)
def test_under_half_is_weak_and_three_quarters_are_strong(earned, weak, strong):
    assert (Points(earned, 8).weak, Points(earned, 8).strong) == (weak, strong)


def test_marks_are_0_1_or_2_for_exactly_what_applies():
    check_marks({"limits": 2, "number": 0}, ("number", "limits"))
    for marks in ({"limits": 2}, {"limits": 2, "number": 0, "definition": 1}):
        with pytest.raises(ValueError, match="mark each of number, limits"):
            check_marks(marks, ("number", "limits"))
    for wrong in (3, -1, True, 1.0, "2"):
        with pytest.raises(ValueError, match="none of 0, 1, 2"):
            check_marks({"limits": 2, "number": wrong}, ("number", "limits"))
