# %% [markdown] tags=["second-form"]
r"""
# 00 · Start here

In this course every answer runs: you can execute the cell that proves it, and change it to see it fail.

*10 minutes · a few seconds of CPU · no GPU, no network*

*Lessons:* next: 01 · What multimodal means (planned), then [02 · Data pipelines](02_data_pipelines.ipynb)

Press **Shift + Enter** to run a cell and go to the next one. *Run > Run All Cells* runs everything; nothing here can break.
"""

# %% [markdown]
r"""
## 0.1 Is this machine ready?

Python, packages, device, memory and data are checked; what needs fixing is printed with what to do. If only the last line
is printed, all is ready. (`course doctor` in a terminal shows what was found.)
"""

# %%
from course_lib import doctor

for finding in doctor.examine():
    if not finding.ok:
        print(finding)
print("that is all")

# %% [markdown]
r"""
## 0.2 The lessons, and where you are

Live in JupyterLab this list also says what you have done, and what to do with the next 20 minutes.
"""

# %%
from course_lib.interview.home import home

home()

# %% [markdown]
r"""
## 0.3 A claim, and how to attack it

Lessons do not say "attention weights are not explanations" and move on. They state a sentence, the condition that makes it
true, and what was measured on *your* machine. If the condition fails, the cell fails.

Here are two coins that answer 20 yes-or-no questions.
"""

# %%
import torch

random = torch.Generator().manual_seed(0)
answers = torch.rand(2, 20, generator=random) < 0.5  # True: it answered right
a, b = answers.sum(dim=1).tolist()
print(f"coin A: {a} of 20 right, coin B: {b} of 20 right")

# %% tags=["claim"]
from course_lib.lesson.claims import claim

claim(
    "C00.1",
    "Coin A knows more than coin B",
    a > b,
    measured=f"{a} against {b} of 20",
)

# %% [markdown]
r"""
The sign ✓ stands there, and the sentence is nonsense: a coin knows nothing. The claim's code is folded: click the three dots
above the sentence, and read its condition. It asks whether A was ahead *once*. So read every ✓ as "this condition held", and then
attack it: does the condition say what the sentence says? Would it hold again?

Try it: change `manual_seed(0)` to other numbers and run the two cells again. Where A is not ahead the claim stops with an error: that is
how a claim looks that failed. Put the 0 back before you go on.
"""

# %%
from course_lib.lesson.bets import bet

bet(
    "C00.2",
    "The two coins play 1,000 such rounds. How often is coin A ahead?",
    ["in nearly all rounds", "in about 3 of 4", "in a little less than half"],
)

# %% [markdown]
r"""
Place your bet before you read on: a guess that was wrong is remembered better than an answer that was read. What the
next two cells show is folded until you click.
"""

# %% tags=["reveal"]
rounds = torch.rand(1000, 2, 20, generator=random) < 0.5
ahead, behind = rounds.sum(dim=2).T  # right answers of A and of B
print(f"A is ahead in {(ahead > behind).sum()} of 1,000 rounds")
print(f"B is ahead in {(ahead < behind).sum()}")
print(f"a tie in      {(ahead == behind).sum()}")

# %% tags=["claim", "reveal"]
a_ahead = (ahead > behind).double().mean().item()
b_ahead = (ahead < behind).double().mean().item()
claim(
    "C00.2",
    "Played again, either coin is ahead in a little less than half of the rounds, and the rest are ties",
    0.39 < a_ahead < 0.49 and 0.39 < b_ahead < 0.49,
    measured=f"A {a_ahead:.3f}, B {b_ahead:.3f}",
    answer="in a little less than half",
)

# %% [markdown]
r"""
Why less than half? With 20 questions one round in eight is a tie: the chance of equal counts is about $1/\sqrt{20\pi} = 0.126$. The
rest is shared fairly. This is the claim that should have been made, and it is why lessons compare models over several seeds.

## 0.4 An exercise

You write a function; `check` runs it through stages and says what to look at next. It never stops the notebook, and every
advice it gives has been tested against a real wrong answer. Replace the last line of the stub, for example with
`return x / x.sum(dim=-1, keepdim=True)`, which is wrong in an instructive way.

### Exercise 00.1 · softmax ●○○ 5 minutes

`(B, K)` scores in, `(B, K)` probabilities out. Scores can be as large as 10,000.
"""

# %% tags=["exercise"]
from course_lib.exercises import lesson_00 as exercise
from course_lib.lesson.exercises import check, hint


def softmax(x):
    """exp(x_k) / Σ_j exp(x_j) along the last axis, without overflow."""
    raise NotImplementedError


check(exercise.softmax, softmax)
hint(exercise.softmax)

# %% [markdown]
r"""
Stuck? `hint(exercise.softmax, level=1)` nudges, `level=3` is nearly the code. A worked solution stands at the end of every
lesson, folded.
"""

# %%
hint(exercise.softmax, level=1)

# %% [markdown]
r"""
## 0.5 An explorer

A drawing function and a control for each of its arguments. Softmax divides its scores by a *temperature* first. Bet, then choose another
temperature. (On a web page, without a kernel, you see one picture.)
"""

# %%
bet(
    "C00.3",
    "The scores are 2, 1, ½ and −1. Where does the highest bar end at temperature 100?",
    ["near 0", "near ¼", "near ½", "near 1"],
)

# %%
import matplotlib.pyplot as plt

from course_lib.lesson.explore import explore

SCORES = torch.tensor([2.0, 1.0, 0.5, -1.0])


def draw_temperature(temperature=1.0):
    """Softmax of four scores, divided by the temperature first."""
    fig, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
    names = ["dog", "cat", "fox", "car"]
    bars = ax.bar(names, (SCORES / temperature).softmax(-1), color="#4477aa")
    ax.bar_label(bars, fmt="%.2f")
    ax.set(ylim=(0, 1.1), ylabel="probability", title=f"temperature {temperature:.2f}")
    return fig


explore(
    draw_temperature,
    alt="Four bars; the dog's is the highest at temperature 1.",
    temperature=[0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0],
)

# %% tags=["reveal"]
for temperature in (0.1, 1.0, 100.0):
    bars = (SCORES / temperature).softmax(-1)
    print(f"temperature {temperature:5.1f}:", *(f"{bar:.2f}" for bar in bars))

# %% tags=["claim", "reveal"]
cold, hot = (SCORES / 0.1).softmax(-1), (SCORES / 100).softmax(-1)
claim(
    "C00.3",
    "A high temperature gives every bar its equal share, a low one gives everything to the highest score",
    (hot - 1 / 4).abs().max() < 0.01 and cold[0] > 0.99,
    measured=f"{hot.min():.3f} to {hot.max():.3f} at 100, {cold[0]:.5f} at 0.1",
    answer="near ¼",
)

# %% [markdown]
r"""
Divided by 100, all scores are nearly 0, and $e^0 = 1$ for each of the four. Divided by 0.1, the first is ahead by 10, and $e^{10}$ is
22,026.

At the end of a lesson one line says how your bets ended. Those that you called *sure* should be won more often than the guesses.
"""

# %%
from course_lib.lesson.bets import bets

bets("00")

# %% [markdown]
r"""
## 0.6 Questions

Each lesson ends with the interview questions it prepares for, at three depths, in English and Chinese, with a 60-second answer
whose key points name the claims that prove them. In a lesson you would call `show_questions("07")`. Say your answer aloud
before you reveal theirs.

## 0.7 Practise for the day

Two weeks before the interview, come here every day. `drill()` asks what is due and remembers; reviews are kept between sessions.
"""

# %%
from course_lib.interview.drill import drill

drill(days=14)

# %% [markdown]
r"""
Interviews ask for sums: tokens of an image, bytes of a cache, days of a training run. Every draw is new, wrong answers are told by
name where the slip is a known one.
"""

# %%
from course_lib.interview.arithmetic import arithmetic

arithmetic(step=2)

# %% [markdown]
r"""
Once a week, the whole thing against the clock: an opening, questions whose follow-ups depend on how well you did, one sum, one
function to write, your project to defend. The report says what to read, and puts what was weak into the drill.
"""

# %%
from course_lib.interview.mock import mock

mock(minutes=45)

# %% [markdown]
r"""
And a word you do not know, in English or Chinese:
"""

# %%
from course_lib.interview.glossary import term

term("modality gap")

# %% [markdown]
r"""
## 0.8 Three ways through a lesson

| you have | do |
| --- | --- |
| an evening | all of it, exercises included: one to two hours a lesson, as its first lines say |
| a workshop of 45 minutes | the bets, the explorer on the projector, one exercise |
| 15 minutes before the interview | the 60-second answer, the wrong answers, the card; the beginning of each lesson says where |

Shut a finished lesson's kernel down before you open the next (*Kernel > Shut Down Kernel*): each takes some hundred megabytes.

## 0.9 Axis letters

Shapes are written the same way everywhere: in signatures, comments and lessons. A formula that needs another letter, or one of these for
something else, says so beside it.
"""

# %%
from course_lib import AXES

for letter, meaning in AXES.items():
    print(f"{letter}  {meaning}")

# %% [markdown]
r"""
## 0.10 Worked solution
"""


# %% tags=["solution"]
def softmax(x):
    largest = x.max(dim=-1, keepdim=True).values
    shifted = (x - largest).exp()  # the largest exponent is 0: no overflow
    return shifted / shifted.sum(dim=-1, keepdim=True)


check(exercise.softmax, softmax, solution=True)

# %% [markdown]
r"""
*Lessons:* next: 01 · What multimodal means (planned), then [02 · Data pipelines](02_data_pipelines.ipynb)
"""
