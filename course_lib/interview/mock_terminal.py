"""The mock interview in a terminal: the same engine and log as in the notebook, line by line.

At every prompt p pauses, n ends the round, e ends the interview, q stops and keeps everything. Ctrl-C, the end of the
input and a killed terminal keep everything as well: notes are on disk line by line, code when its prompt is left.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from course_lib.interview.answer import cite, in_brackets
from course_lib.interview.mock import draw_script
from course_lib.interview.rounds import coding
from course_lib.interview.rounds.choice import check_request
from course_lib.interview.rounds.clock import say_clock
from course_lib.interview.rounds.log import Mock, read_mocks, unfinished
from course_lib.interview.rounds.page import Material, MissingMaterial, Page, page_of
from course_lib.interview.rounds.project import FIELDS, TINY_VLM, field
from course_lib.interview.rounds.report import as_text, make_report, say_pair, say_past
from course_lib.interview.rounds.rubric import DIMENSIONS
from course_lib.interview.rounds.session import MockSession, resume, start
from course_lib.interview.rounds.words import REPORT_WORDS, TERMINAL_WORDS, VIEW_WORDS
from course_lib.learner.clock import utc_now
from course_lib.learner.store import ReviewStore, data_folder

Ask = Callable[[str], str]
Say = Callable[[str], None]


class Stop(Exception):  # noqa: N818 - no error: the learner stops here
    """The learner stops; the interview stays as it is."""


class Turn(Exception):  # noqa: N818
    """The interview went somewhere else: look again at where it is."""


class Terminal:
    """A mock interview in a terminal. ask: shows a prompt and returns a line. say: prints one."""

    def __init__(self, session: MockSession, language: str, ask: Ask, say: Say) -> None:
        self.session, self.language, self.ask, self.say = session, language, ask, say
        self.words, self.view_words = TERMINAL_WORDS[language], VIEW_WORDS[language]

    def run(self) -> bool:
        """Go on until the report; False when the learner stopped before it."""
        self.say(self.words["keys"])
        try:
            while self.session.state.current is not None:
                try:
                    self.one()
                except Turn:
                    continue
        except (EOFError, KeyboardInterrupt, Stop):
            if self.session.state.status == "running":
                self.session.pause()
            self.say("\n" + self.words["kept"].format(self.session.id))
            return False
        mocks, notes = read_mocks(self.session.store)
        for note in notes:
            self.say(note)
        self.say("\n" + as_text(make_report(self.session.mock, mocks, self.session.material, self.language)))
        return True

    def one(self) -> None:
        """One step at the current node."""
        session, state = self.session, self.session.state
        if state.status == "paused":
            session.go_on()
        self.say("\n" + " · ".join(say_clock(state, session.clock(), self.language)))
        try:
            page = page_of(session.material, state, state.current, self.language)
        except MissingMaterial as error:
            self.say(str(error))
            self.prompt(self.words["keys"])  # n, e and q lead on; anything else asks again
            return
        step = state.current.step
        self.say(f"{page.lead}\n{page.question}" if page.lead else page.question)
        if step == "form":
            session.fill(self.read_form())
        elif step in ("sum", "code"):
            self.judged(page, step)
        else:
            if not state.fact.revealed:
                if typed := self.prompt(self.words["think"]):
                    session.draft({"text": typed})
                session.reveal()
            self.reveal(page)
            session.rate(self.read_marks(page.dimensions))

    def judged(self, page: Page, step: str) -> None:
        """A sum or a function, until it is right or handed in."""
        while not self.session.state.fact.revealed:
            if step == "code":
                self.code()
            elif (typed := self.prompt(self.words["sum"])) == "h":
                self.session.hand_in()
            else:
                self.say(self.session.answer(typed).message[self.language])
        self.reveal(page)
        self.say(self.view_words["judged"].format(self.session.judged_mark()))
        self.session.go_on_judged()

    def code(self) -> None:
        """Judge what stands in the file; right code, and code that is handed in, ends the exercise."""
        session, node = self.session, self.session.state.current
        exercise, path = session.material.exercise(node.item), self.stub()
        empty = coding.stub(exercise).rstrip()
        try:
            typed = self.prompt(self.words["code"].format(path))
        finally:  # also when the learner goes on, ends, or presses Ctrl-C
            written = path.read_text(encoding="utf-8", errors="replace").rstrip() if path.exists() else ""
            if written not in ("", empty):
                session.draft({"code": written}, node)
        tries = session.state.fact.tries
        seen = tries[-1].get("code") == written if tries else written == empty
        if not (typed == "h" and seen):
            self.say(self.words["running"])
            verdict = coding.judge_file(exercise, path)
            session.run(verdict, written)
            self.say(verdict.line)
        if typed == "h" or verdict.passed:
            session.hand_in()

    def reveal(self, page: Page) -> None:
        """What a good answer holds, and what it rests on."""
        for title, lines in page.revealed:
            self.say(f"{title}")
            for line in lines:
                cited = [cite(each, self.language)[0] for each in line.evidence]
                said = " ".join(filter(None, [line.lead, line.text]))
                self.say(f"  - {said}{in_brackets(cited, self.language)}")
        if page.code:
            self.say(page.code)

    def read_marks(self, dimensions: tuple[str, ...]) -> dict[str, int]:
        """One digit a dimension."""
        for name in dimensions:
            title, earns = DIMENSIONS[name].title[self.language], DIMENSIONS[name].earns[self.language]
            self.say(f"  {say_pair(title, earns, self.language)}")
        names = " ".join(DIMENSIONS[name].title[self.language] for name in dimensions)
        while True:
            typed = self.prompt(self.words["marks"].format(names))
            digits = [each for each in typed if not each.isspace() and each not in ",，"]
            if len(digits) == len(dimensions) and set(digits) <= set("012"):
                return dict(zip(dimensions, map(int, digits), strict=True))
            self.say(self.words["bad_marks"].format(typed, len(dimensions)))

    def read_form(self) -> dict[str, str]:
        """The learner's project line by line, what was written the last time as default, or the tiny VLM."""
        before = self.session.begun_form()
        while (choice := self.prompt(self.words["project"])) not in ("o", "t"):
            self.say(self.words["bad_project"].format(choice))
        if choice == "t":
            return {"project": TINY_VLM}
        form = {name: before.get(name, "") for name in FIELDS}
        for name in FIELDS:
            title, hint = (text[self.language] for text in field(name))
            known = f" [{form[name]}]" if form[name] else ""
            form[name] = self.ask(f"{title} ({hint}){known}: ").strip() or form[name]
            while name == "what" and not form[name]:
                form[name] = self.ask(f"{title} ({hint}): ").strip()
            self.session.draft(dict(form))
        return form

    def stub(self) -> Path:
        """The file to write the function in; one that is there already stays as it is."""
        exercise = self.session.material.exercise(self.session.state.current.item)
        path = data_folder() / "mock" / self.session.id / f"{coding.signature(exercise)[0]}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(coding.stub(exercise), encoding="utf-8")
        return path

    def prompt(self, text: str) -> str:
        """A line from the learner; the keys of the interview itself never come back from here."""
        typed = self.ask(text).strip()
        match typed:
            case "q":
                raise Stop
            case "p":
                self.session.pause()
                self.ask(self.words["paused"])
                raise Turn  # `one` lets the clock run again
            case "n":
                self.session.leave()
                raise Turn
            case "e":
                self.session.end()
                raise Turn
        return typed


def run_mock(args: Namespace, ask: Ask, say: Say) -> int:
    """`course mock` with its parsed arguments; the exit status.

    Raises ValueError for what no interview can be made of or found for.
    """
    store, words, material = ReviewStore(), TERMINAL_WORDS[args.language], Material()
    if store.notice:
        say(store.notice)
    if args.list or args.report is not None:
        say(_told(store, material, args))
        return 0
    if args.drop is not None:
        _find(unfinished(store), args.drop)
        MockSession(store, args.drop, material=material).drop()
        say(words["dropped"].format(args.drop))
        return 0
    if args.resume is not None:
        session = resume(store, _find(unfinished(store), args.resume).id, material=material)
    else:
        check_request(args.minutes, args.focus, args.level)
        choice = {"minutes": args.minutes, "focus": args.focus, "level": args.level, "seed": args.seed}
        script = draw_script(store, material, now=utc_now(), **choice)
        if open_mocks := unfinished(store):
            say(words["others"].format(", ".join(mock.id for mock in open_mocks)))
        say(VIEW_WORDS[args.language]["rules"])
        say(script.why[args.language])
        session = start(store, script, args.language, material=material)
    Terminal(session, args.language, ask, say).run()
    return 0


def _told(store: ReviewStore, material: Material, args: Namespace) -> str:
    mocks, notes = read_mocks(store)
    if args.list:
        lines = [f"{mock.id}  {say_past(mock, args.language)}" for mock in mocks]
        return "\n".join([*notes, *lines] or [REPORT_WORDS[args.language]["none"]])
    return as_text(make_report(_find(mocks[::-1], args.report), mocks, material, args.language))


def _find(mocks: list[Mock], id: str) -> Mock:
    """The one with that id, or the first for ""; ValueError that lists them."""
    found = [mock for mock in mocks if id in ("", mock.id)]
    if not found:
        have = ", ".join(mock.id for mock in mocks) or "none; start one with: course mock"
        raise ValueError(f"no such mock interview {id!r}: there are {have}")
    return found[0]
