# %% [markdown]
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

Python, packages, device, memory and data are checked; what needs fixing is printed with what to do. Nothing printed but the
last line means: ready. (`course doctor` in a terminal shows what was found.)
"""

# %%
from course_lib import doctor

for finding in doctor.examine():
    if not finding.ok:
        print(finding)
print("that is all")

# %% [markdown]
r"""
## 0.2 A claim

Lessons do not say "attention weights are not explanations" and move on. They state a sentence, the condition that makes it
true, and what was measured on *your* machine. If the condition fails, the cell fails. Try it: change `0.5` to `0.4`.
"""

# %%
import torch

from course_lib.lesson.claims import claim

coins = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) < 0.5
heads = coins.float().mean().item()
claim(
    "C00.1",
    "A fair coin shows heads about half of the time",
    abs(heads - 0.5) < 0.02,
    measured=f"{heads:.4f} of 10,000",
)

# %% [markdown]
r"""
## 0.3 An exercise

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
## 0.4 An explorer

A drawing function and sliders. **Predict first**: what happens to the bars when the temperature goes towards 0, and towards
infinity? Then move the slider. (On a web page, without a kernel, you see one picture.)
"""

# %%
import matplotlib.pyplot as plt

from course_lib.lesson.explore import explore

SCORES = torch.tensor([2.0, 1.0, 0.5, -1.0])


def draw_temperature(temperature=1.0):
    """Softmax of four scores, divided by the temperature first."""
    fig, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
    bars = ax.bar(["dog", "cat", "fox", "car"], (SCORES / temperature).softmax(-1), color="#4477aa")
    ax.bar_label(bars, fmt="%.2f")
    ax.set(ylim=(0, 1.1), ylabel="probability", title=f"temperature {temperature:.2f}")
    return fig


explore(draw_temperature, alt="Four bars; the dog's is the highest at temperature 1.", temperature=(0.1, 5.0))

# %% [markdown]
r"""
## 0.5 Questions

Each lesson ends with the interview questions it prepares for, at three depths, in English and Chinese, with a 60-second answer
whose key points name the claims that prove them. In a lesson you would call `show_questions("07")`. Say your answer aloud
before you reveal theirs.
"""

# %% [markdown]
r"""
## 0.6 Practise for the day

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
## 0.7 Three ways through a lesson

| you have | do |
| --- | --- |
| an evening | all of it, exercises included: one to two hours a lesson, as its first lines say |
| a workshop of 45 minutes | the explorer on the projector, one exercise, bets before each wrong answer |
| 15 minutes before the interview | the question, the table in symbols, the wrong answers, the card |

Shut a finished lesson's kernel down before you open the next (*Kernel > Shut Down Kernel*): each takes some hundred megabytes.
"""

# %% [markdown]
r"""
## 0.8 Axis letters

Shapes are written the same way everywhere: in signatures, comments and lessons. One letter, one meaning.
"""

# %%
from course_lib import AXES

for letter, meaning in AXES.items():
    print(f"{letter}  {meaning}")

# %% [markdown]
r"""
## 0.9 The lessons
"""

# %%
from IPython.display import Markdown

from course_lib.lesson.syllabus import lesson_map

Markdown(lesson_map())

# %% [markdown]
r"""
## 0.10 Worked solution
"""


# %% tags=["solution"]
def softmax(x):
    shifted = (x - x.max(dim=-1, keepdim=True).values).exp()  # the largest exponent is 0: no overflow
    return shifted / shifted.sum(dim=-1, keepdim=True)


check(exercise.softmax, softmax, solution=True)

# %% [markdown]
r"""
*Lessons:* next: 01 · What multimodal means (planned), then [02 · Data pipelines](02_data_pipelines.ipynb)
"""
