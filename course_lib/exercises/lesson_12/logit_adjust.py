"""Exercise 12.4: logits adjusted to the prior."""

import math

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

PRIOR = torch.tensor([0.7, 0.2, 0.07, 0.03], dtype=torch.float64)


def _world(count=4000, seed=0):
    """Points on a line, four unit Gaussians in a row, classes as frequent as PRIOR: exact log-posteriors and labels."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.multinomial(PRIOR, count, replacement=True, generator=generator)
    x = label + torch.randn(count, generator=generator, dtype=torch.float64)
    log_likelihood = -((x[:, None] - torch.arange(4)) ** 2) / 2
    return (log_likelihood + PRIOR.log()).log_softmax(-1), log_likelihood, label


def _balanced(logits, label):
    hits = logits.argmax(-1) == label
    return sum(hits[label == k].double().mean() for k in range(4)).item() / 4


def adjust_lifts_the_rare(logit_adjust):
    logits, _, label = _world()
    before, after = _balanced(logits, label), _balanced(logit_adjust(logits, PRIOR, 1.0), label)
    assert after > before - 0.03, (
        f"balanced accuracy fell from {before:.2f} to {after:.2f}: the prior has the wrong sign, or logits were "
        "divided as if they were probabilities"
    )
    assert after > before + 0.06, (
        f"balanced accuracy went from {before:.2f} to {after:.2f}, too little: adjust the logits"
    )


def adjust_is_bayes_rule(logit_adjust):
    for count in (50, 4, 1):  # with as many examples as classes, a prior along the wrong axis fits too
        logits, log_likelihood, _ = _world(count)
        got = logit_adjust(logits, PRIOR, 1.0).softmax(-1)
        assert close(got, log_likelihood.softmax(-1)), (
            f"these logits of {count} examples are exact, so softmax must now give the likelihood: take off the "
            "natural log of the prior, class by class"
        )


def adjust_obeys_tau(logit_adjust):
    logits, _, _ = _world(50)
    twice, once = logit_adjust(logit_adjust(logits, PRIOR, 0.5), PRIOR, 0.5), logit_adjust(logits, PRIOR, 1.0)
    assert close(twice.softmax(-1), once.softmax(-1)), (
        "two adjustments by tau = 0.5 must make one by tau = 1: tau multiplies the logarithm"
    )
    for tau, due in ((0.0, logits), (2.0, logits - 2 * PRIOR.log())):
        assert close(logit_adjust(logits, PRIOR, tau).softmax(-1), due.softmax(-1)), (
            f"tau = {tau:g} is not {tau:g} times the logarithm of the prior"
        )


def adjust_is_stable(logit_adjust):
    extreme = torch.tensor([[1e4, -1e4, 0.0, 5.0]], dtype=torch.float64)
    got = logit_adjust(extreme, PRIOR, 1.0)
    assert got.isfinite().all() and got.argmax() == 0, (
        "logits of +-1e4 came back as inf or nan, or changed sides: stay in log space, do not go through softmax"
    )
    gaps = got - got[:, :1], extreme - PRIOR.log() - (extreme - PRIOR.log())[:, :1]
    assert close(*gaps), "logits of +-1e4 came back nearer to each other than they were: cut nothing off"


def _adjust(logits, prior, tau=1.0):
    return logits - tau * prior.log()


logit_adjust = Exercise(
    id="12.4 logit_adjust",
    task="Write logit_adjust(logits, prior, tau): (B, K), (K,) -> (B, K), the logits of a model trained with plain "
    "cross-entropy, changed after training so that argmax serves all classes equally at tau = 1.",
    stages=(adjust_lifts_the_rare, adjust_is_bayes_rule, adjust_obeys_tau, adjust_is_stable),
    reference=_adjust,
    mutants={
        "the prior has the wrong sign": lambda z, prior, tau=1.0: z + tau * prior.log(),
        "divided as if they were probabilities": lambda z, prior, tau=1.0: z / prior**tau,
        "too little": lambda z, prior, tau=1.0: z - tau * prior,
        "take off the natural log of the prior": lambda z, prior, tau=1.0: z - tau * prior.log2(),
        "logits of 4 examples": lambda z, prior, tau=1.0: (
            z - tau * (prior.log()[:, None] if len(z) == len(prior) else prior.log())
        ),
        "tau multiplies the logarithm": lambda z, prior, tau=1.0: z - prior.log(),
        "stay in log space": lambda z, prior, tau=1.0: (z.softmax(-1) / prior**tau).log(),
        "is not 2 times the logarithm": lambda z, prior, tau=1.0: z - min(tau, 1.0) * prior.log(),
        "cut nothing off": lambda z, prior, tau=1.0: (z - tau * prior.log()).clamp(-60, 60),
    },
    alternatives={
        "a loss of zero for the commonest": lambda logits, prior, tau: logits + tau * (prior.max() / prior).log(),
        "log-probabilities, normalised again": lambda logits, prior, tau: (
            logits.log_softmax(1) - torch.xlogy(torch.full_like(prior, tau), prior)
        ).log_softmax(1),
        "class by class": lambda logits, prior, tau: torch.stack(
            [logits[:, k] - tau * math.log(p) for k, p in enumerate(prior.tolist())], dim=1
        ),
    },
    hints=(
        "The model's softmax is p(y | x), which is p(x | y) p(y) over a constant. Which factor should go?",
        "Dividing a probability is subtracting from its logarithm, and logits are log-probabilities up to a constant.",
        "logits - tau * prior.log()",
    ),
    difficulty=2,
    minutes=5,
)
