"""Merging a new version of a lesson into a learner's copy: nothing written is lost, everything else is as shipped."""

import hashlib
import random

import nbformat
import pytest

from course_lib.copies.align import align, text
from course_lib.copies.merge import NOTE, is_note, merge, note

STUB = 'def {0}(x):\n    """{1}"""\n    raise NotImplementedError\n\n\ncheck(exercise.{0}, {0})'


def shipped(*sources):
    """Cells as notebooks/build.py makes them: the id is a hash of the text; code has an output, text starts with #."""
    cells, used = [], set()
    for source in sources:
        make = nbformat.v4.new_markdown_cell if source.startswith("#") else nbformat.v4.new_code_cell
        name = hashlib.sha256(source.encode()).hexdigest()[:8]
        while name in used:
            name = hashlib.sha256(name.encode()).hexdigest()[:8]
        used.add(name)
        cells.append(make(source, id=name))
        if cells[-1].cell_type == "code":
            cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"out of {name}\n")]
    return cells


def copy_of(cells):
    return [nbformat.from_dict(dict(cell)) for cell in cells]


def sources(cells):
    return [cell.source for cell in cells]


def added(source, name="mine0001"):
    return nbformat.v4.new_code_cell(source, id=name)


def test_text_is_updated_new_cells_appear_and_removed_ones_go():
    base = shipped("# One", "a = 1", "# Two about attention, its shapes and cost", "b = 2", "c = 3")
    new = shipped("# One", "a = 1", "z = 0", "# Two about attention, its shapes and its cost", "c = 3")
    assert merge(base, copy_of(base), new) == new


def test_what_the_learner_wrote_stays_with_its_outputs():
    base = shipped("# One", STUB.format("softmax", "rows"), "b = 2")
    mine = copy_of(base)
    mine[1].source = mine[1].source.replace("raise NotImplementedError", "return x")
    mine[1].outputs = [nbformat.v4.new_output("stream", text="✓ passed\n")]
    mine.insert(2, added("my = 1"))
    new = shipped("# One, better", STUB.format("softmax", "rows"), "between = 0", "b = 22")
    merged = merge(base, mine, new)
    assert sources(merged) == ["# One, better", mine[1].source, "my = 1", "between = 0", "b = 22"]
    assert merged[1].outputs == mine[1].outputs


def test_where_both_changed_the_learners_stays_and_the_new_form_stands_below():
    base = shipped("# One", STUB.format("softmax", "rows"), "b = 2")
    mine = copy_of(base)
    mine[1].source = mine[1].source.replace("raise NotImplementedError", "return x")
    new = shipped("# One", STUB.format("softmax", "rows that sum to 1"), "b = 2")
    merged = merge(base, mine, new)
    assert merged[1].source == mine[1].source
    assert merged[2].cell_type == "markdown" and merged[2].source.startswith(NOTE) and new[1].source in merged[2].source
    assert sources(merged[3:]) == ["b = 2"]


def test_a_later_form_replaces_the_note_and_a_note_that_was_deleted_stays_away():
    base, second, third = ([f"# {word}" for word in words] for words in (("a b c d",), ("a b c e",), ("a b c f",)))
    base, second, third = shipped(*base), shipped(*second), shipped(*third)
    mine = copy_of(base)
    mine[0].source += " mine"
    once = merge(base, mine, second)
    assert sources(once) == [mine[0].source, note(second[0]).source]
    assert sources(merge(second, once, third)) == [mine[0].source, note(third[0]).source]
    assert sources(merge(second, once[:1], second)) == [mine[0].source]
    assert sources(merge(second, once, second)) == sources(once)


def test_a_note_that_was_edited_is_the_learners():
    base, second, third = shipped("# a b c d"), shipped("# a b c e"), shipped("# a b c f")
    mine = copy_of(base)
    mine[0].source += " mine"
    once = merge(base, mine, second)
    once[1].source += " and why"
    twice = merge(second, once, third)
    assert sources(twice) == [mine[0].source, note(third[0]).source, once[1].source]
    assert [is_note(cell) for cell in twice] == [False, True, False]


def test_taking_over_the_new_form_ends_the_note():
    base, second = shipped("# a b c d", "x = 1"), shipped("# a b c e", "x = 1")
    mine = copy_of(base)
    mine[0].source += " mine"
    once = merge(base, mine, second)
    once[0].source = second[0].source
    assert sources(merge(second, once, shipped("# a b c e", "x = 2"))) == ["# a b c e", "x = 2"]


def test_a_deleted_cell_stays_away_until_the_course_changes_it():
    base = shipped("# One two three four", "a = 1", "# End")
    mine = [cell for cell in copy_of(base) if cell.source != "# One two three four"]
    assert sources(merge(base, mine, shipped("# One two three four", "a = 1", "# The end"))) == ["a = 1", "# The end"]
    assert sources(merge(base, mine, shipped("# One two three five", "a = 1"))) == ["# One two three five", "a = 1"]


def test_an_answer_stays_although_its_exercise_is_gone():
    base = shipped("# One", STUB.format("softmax", "rows"), "b = 2")
    mine = copy_of(base)
    mine[1].source = mine[1].source.replace("raise NotImplementedError", "return x")
    new = shipped("# One", STUB.format("sigmoid", "rows"), "b = 2")
    assert sources(merge(base, mine, new)) == ["# One", mine[1].source, new[1].source, "b = 2"]


def test_outputs_of_the_learners_run_stay_where_the_cell_is_unchanged():
    base = shipped("a = 1", "b = 2")
    mine = copy_of(base)
    for cell in mine:
        cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text="my run\n")], 7
    new = shipped("a = 1", "b = 3")
    merged = merge(base, mine, new)
    assert merged[0].outputs == mine[0].outputs and merged[1] == new[1]


def test_a_rebuilt_output_replaces_the_shipped_one():
    base, new = shipped("a = 1", "b = 2"), shipped("a = 1", "b = 2")
    new[0].outputs = [nbformat.v4.new_output("stream", text="measured again\n")]
    mine = [*copy_of(base), added("c = 3")]
    assert merge(base, mine, new)[:2] == new


def test_a_cell_that_the_learner_had_already_is_not_doubled():
    base, new = shipped("# One"), shipped("# One", "import torch")
    assert sources(merge(base, [*copy_of(base), added("import torch")], new)) == ["# One", "import torch"]


def test_a_second_version_beside_the_courses_own_stays():
    base, new = shipped("# a b c d e f"), shipped("# a b c d e g")
    mine = [added("# a b c d e g", "other001"), added("# a b c d e f mine", "other002")]
    for cell in mine:
        cell.cell_type = "markdown"
    assert sources(merge(base, mine, new)) == ["# a b c d e g", "# a b c d e f mine"]


def test_ids_lost_in_another_program_do_not_double_cells():
    base = shipped("# One", STUB.format("softmax", "rows"), "b = 2", "# End")
    mine = copy_of(base)
    mine[1].source = mine[1].source.replace("raise NotImplementedError", "return x")
    for number, cell in enumerate(mine):
        cell.id = f"other{number}"
    new = shipped("# One", STUB.format("softmax", "rows"), "b = 3", "# End")
    assert sources(merge(base, mine, new)) == ["# One", mine[1].source, "b = 3", "# End"]


def test_equal_ids_in_the_copy_become_different():
    base = shipped("# One", "b = 2")
    mine = [*copy_of(base), added("x = 1", base[1].id), added("y = 1")]
    mine[-1].id = ""
    merged = merge(base, mine, shipped("# One, better", "b = 2"))
    assert len({cell.id for cell in merged}) == len(merged) == 4 and all(cell.id for cell in merged)


def test_restore_brings_a_cell_back_and_its_note_goes():
    base = shipped("# One", STUB.format("softmax", "rows"), "b = 2")
    mine = copy_of(base)
    mine[1].source, mine[2].source = "mine", "b = 2222"
    new = shipped("# One", STUB.format("softmax", "rows that sum to 1"), "b = 2")
    once = merge(base, mine, new)
    assert sources(merge(new, once, new, restore={new[1].id})) == ["# One", new[1].source, "b = 2222"]
    assert sources(merge(new, once[:1], new, restore={new[1].id})) == ["# One", new[1].source]


def test_stubs_of_two_exercises_are_never_one_cell():
    old, new = shipped(STUB.format("softmax", "rows")), shipped(STUB.format("sigmoid", "rows"))
    assert align(old, new) == {}
    rewritten = STUB.format("softmax", " ".join(f"another{number}" for number in range(60)))
    assert align(old, shipped(rewritten)) == {0: 0}


def test_a_worked_solution_is_not_the_stub():
    old = shipped(
        STUB.format("softmax", "rows"), STUB.format("softmax", "rows").replace("raise NotImplementedError", "y")
    )
    new = shipped("def softmax(x):\n    return x.exp()  # a much shorter one\n\n\ncheck(exercise.softmax, softmax)")
    old[1].metadata["tags"] = new[0].metadata["tags"] = ["solution"]
    assert align(old, new) == {1: 0}


def test_of_equally_alike_cells_the_nearest_is_the_same():
    old, new = shipped("# x", "# a b c d e 1"), shipped("# a b c d e 2", "# a b c d e 3")
    assert align(old, new) == {1: 1}


def test_a_long_cell_of_common_words_is_recognised():
    line = "print(torch.allclose(a[0], b[0]), torch.allclose(a[1], b[1]))\n"
    old, new = shipped(line * 20), shipped("x = 1\n" + line * 20)
    assert align(old, new) == {0: 0}


def test_code_in_a_note_is_framed_whatever_it_contains():
    cell = shipped('text = """\n````\n"""')[0]
    assert note(cell).source.endswith(f"`````python\n{cell.source}\n`````")


# --- random histories ---------------------------------------------------------------------------------------------

WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("ab", "ek", "im", "os", "ul", "ar")]


def sentence(rng, taken):
    """A text unlike all others: alike ones are different versions of one cell to anyone."""
    while True:
        words = tuple(rng.sample(WORDS, rng.randint(6, 14)))
        if all(len(set(words) & set(other)) < 4 for other in taken):
            taken.append(words)
            return " ".join(words)


def edited(rng, source):
    """A new version of a text: one or two of its words changed."""
    words = source.split(" ")
    for _ in range(rng.randint(1, 2)):
        words[rng.randrange(1, len(words))] = f"{rng.choice(WORDS)}{rng.randint(10, 99)}"
    return " ".join(words)


def any_text(rng, taken):
    return ("# " if rng.random() < 0.5 else "x = ") + sentence(rng, taken)


def new_version(rng, texts, taken):
    """What the course does to a lesson: cells edited, taken out, moved, added."""
    texts = list(texts)
    for _ in range(rng.randint(0, 8)):
        act, at = rng.choice(["edit", "edit", "remove", "move", "add"]), rng.randrange(len(texts))
        if act == "edit":
            texts[at] = edited(rng, texts[at])
        elif act == "remove" and len(texts) > 2:
            del texts[at]
        elif act == "move":
            texts.insert(rng.randrange(len(texts)), texts.pop(at))
        elif act == "add":
            texts.insert(at, any_text(rng, taken))
    return texts


def study(rng, mine, written, number):
    """What a learner does to their copy; `written` collects the texts that are theirs."""
    for step in range(rng.randint(0, 8)):
        act, at = rng.choice(["edit", "edit", "add", "delete", "move", "run"]), rng.randrange(len(mine))
        if act == "edit" and not is_note(mine[at]):
            written.discard(mine[at].source)
            mine[at].source = f"{edited(rng, mine[at].source)} mine{number}x{step}"
            written.add(mine[at].source)
        elif act == "add":
            mine.insert(at, added(f"my own {number} {step}", f"my{number:03d}{step:03d}"))
            written.add(mine[at].source)
        elif act == "delete" and len(mine) > 2:
            written.discard(mine.pop(at).source)
        elif act == "move":
            mine.insert(rng.randrange(len(mine)), mine.pop(at))
        elif act == "run" and mine[at].cell_type == "code":
            mine[at].outputs = [nbformat.v4.new_output("stream", text=f"run {number} {step}\n")]


@pytest.mark.parametrize("seed", range(60))
def test_random_histories(seed):
    rng, taken, written = random.Random(seed), [], set()
    texts = [any_text(rng, taken) for _ in range(rng.randint(3, 14))]
    base = shipped(*texts)
    mine = copy_of(base)
    for number in range(4):
        study(rng, mine, written, number)
        before = copy_of(mine)
        texts = new_version(rng, texts, taken)
        new = shipped(*texts)
        merged = merge(base, mine, new)
        assert mine == before, "merge changed its argument"
        kept = sources(merged)
        assert written <= set(kept), f"lost: {written - set(kept)}"
        ids = [cell.id for cell in merged]
        assert len(set(ids)) == len(ids)
        rest = [cell for cell in merged if cell.source not in written]
        asis = [cell for cell in rest if not is_note(cell)]
        assert {text(cell) for cell in asis} <= {text(cell) for cell in new}, "a cell that is neither's"
        assert len(asis) == len({text(cell) for cell in asis}), "a shipped cell stands there twice"
        places = [sources(new).index(cell.source) for cell in asis]
        assert places == sorted(places), "shipped cells are not in the order of the new version"
        again = {text(cell): cell for cell in base}
        for cell in asis:
            shipped_form = next(each for each in new if text(each) == text(cell))
            assert cell == shipped_form or again.get(text(cell)) == shipped_form, "neither as shipped nor the run of it"
        missing = {text(cell) for cell in new} - {text(cell) for cell in asis}
        by_id = {cell.id: cell for cell in merged}
        noted = "\n".join(cell.source for cell in merged if is_note(cell))
        for cell in new:
            if text(cell) in missing and text(cell) not in {text(each) for each in base}:  # changed by the course
                assert by_id[cell.id].source in written, "the new form of a cell is nowhere"
                assert cell.source in noted, "the new form of a cell the learner changed is not shown"
        assert merge(new, merged, new) == merged, "merging again changes something"
        assert merge(base, merged, new) == merged, "merging again after a cut changes something"
        base, mine = new, merged
