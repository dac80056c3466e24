"""Exercise 17.2: a matrix with all singular values near one, by matrix products alone, as in Muon."""

import torch

from course_lib.lesson.effort import TorchOperations
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

MUON = (3.4445, -4.7750, 2.0315)
MILD = (1.5, -0.7, 0.2)


def _matrix(rows=3, columns=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _by_values(matrix, steps, coefficients):
    """What is due: the singular vectors stay, each singular value goes through the polynomial."""
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    a, b, c = coefficients
    values = values / values.norm().clamp(min=1e-30)
    for _ in range(steps):
        values = a * values + b * values**3 + c * values**5
    return u @ values.diag() @ v


def schulz_keeps_the_shape(newton_schulz):
    for rows, columns in ((2, 5), (5, 2)):
        got = tuple(newton_schulz(_matrix(rows, columns), 1, MILD).shape)
        assert got == (rows, columns), f"a ({rows}, {columns}) matrix came back as {got}: return one of the same shape"


def schulz_starts_from_norm_one(newton_schulz):
    matrix = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    got = newton_schulz(matrix, 0, MILD)
    assert not close(got, matrix), "divide by the norm before the first round: above about 1 the rounds run away"
    assert close(got, matrix / 5), (
        "with steps = 0 diag(3, 4) should be diag(0.6, 0.8): no round; the norm is the root of the sum of all squares"
    )


def schulz_survives_zero(newton_schulz):
    got = newton_schulz(torch.zeros(2, 3, dtype=torch.float64), 2, MILD)
    assert (got == 0).all(), "a matrix of zeros should stay zeros: mind the division by its norm"


def schulz_maps_the_values(newton_schulz):
    values, (a, b, c) = torch.tensor([0.6, 0.8], dtype=torch.float64), MILD
    got = newton_schulz(values.diag(), 1, MILD)
    assert not close(got, (b * values**3 + c * values**5).diag()), "the first term, a times the matrix, is missing"
    assert not close(got, (a * values + c * values**3 + b * values**5).diag()), (
        "b belongs to the third power and c to the fifth"
    )
    assert not close(got, (a * values + b * values**2 + c * values**4).diag()), (
        "the powers are one too low: the polynomial of the square product still multiplies X"
    )
    assert close(got, (a * values + b * values**3 + c * values**5).diag()), (
        "one round on diag(0.6, 0.8) should give a s + b s^3 + c s^5 for either value s, with the coefficients given"
    )


def schulz_multiplies_matrices(newton_schulz):
    for seed, (rows, columns) in enumerate(((3, 3), (3, 5), (5, 3))):
        matrix = _matrix(rows, columns, seed)
        got = newton_schulz(matrix, 1, MILD)
        x = matrix / matrix.norm()
        a, b, c = MILD
        assert not close(got, a * x + b * x**3 + c * x**5), "x**3 takes powers of the entries: multiply matrices"
        assert close(got, _by_values(matrix, 1, MILD)), (
            f"one round on a full ({rows}, {columns}) matrix is wrong, on a diagonal one it is right: (X X^T)^2 is a "
            "matrix product as well, and X^T stands in the middle of X X^T X"
        )


def schulz_repeats(newton_schulz):
    matrix = _matrix(3, 5, seed=3)
    for steps, coefficients in ((2, MILD), (3, MUON)):
        got, due = newton_schulz(matrix, steps, coefficients), _by_values(matrix, steps, coefficients)
        once = close(got, _by_values(matrix, 1, coefficients))
        assert not once, f"{steps} rounds gave what one gives: feed the result of a round into the next"
        assert close(got, due), (
            f"{steps} rounds differ from {steps} times one round: take the norm and its division out of the loop, "
            "and the products of each round from the new matrix"
        )


def schulz_stays_small(newton_schulz):
    for rows, columns in ((2, 300), (300, 2)):
        matrix = _matrix(rows, columns)
        with TorchOperations() as work:
            newton_schulz(matrix, 2, MILD)
        decomposed = any(word in name for name in work.names for word in ("svd", "eigh", "linalg_qr"))
        assert not decomposed, "no decomposition: the rounds are there to spare it"
        assert work.largest <= matrix.numel(), (
            f"for a ({rows}, {columns}) matrix you made a tensor of {work.largest:,} numbers: put the product on the "
            "shorter side, 2 by 2; transpose a tall matrix before and after"
        )


def _round(x, gram, coefficients):
    a, b, c = coefficients
    return a * x + (b * gram + c * gram @ gram) @ x


def _schulz_with(round=_round, norm=torch.linalg.norm, least=1e-7):
    """The reference; or with another round, another norm or none, or another least norm."""

    def answer(matrix, steps, coefficients):
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix
        x = x / norm(x).clamp(min=least)
        for _ in range(steps):
            x = round(x, x @ x.T, coefficients)
        return x.T if tall else x

    return answer


_schulz = _schulz_with()


def _schulz_long_side(matrix, steps, coefficients):
    a, b, c = coefficients
    x = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


def _schulz_norm_each_round(matrix, steps, coefficients):
    x = _schulz(matrix, 0, coefficients)
    for _ in range(steps):
        x = _schulz(x, 1, coefficients)
    return x


def _schulz_by_columns(matrix, steps, coefficients):
    """Without a transpose: the product stands on the right of a tall matrix."""
    a, b, c = coefficients
    x = matrix / torch.sqrt((matrix**2).sum() + 1e-30)
    rows, columns = matrix.shape
    one = torch.eye(min(rows, columns), dtype=matrix.dtype)
    for _ in range(steps):
        gram = x.mT @ x if rows > columns else x @ x.mT
        change = a * one + b * gram + c * torch.matrix_power(gram, 2)
        x = x @ change if rows > columns else change @ x
    return x


def _schulz_by_einsum(matrix, steps, coefficients):
    """By recursion, with sums written out."""
    if matrix.shape[0] > matrix.shape[1]:
        return _schulz_by_einsum(matrix.transpose(0, 1), steps, coefficients).transpose(0, 1)
    size = float(matrix.square().sum()) ** 0.5
    x = matrix / size if size else matrix.clone()
    for _ in range(steps):
        cube = torch.einsum("ik,jk,jl->il", x, x, x)
        fifth = torch.einsum("ik,jk,jl->il", x, x, cube)
        x = coefficients[0] * x + coefficients[1] * cube + coefficients[2] * fifth
    return x


newton_schulz = Exercise(
    id="17.2 newton_schulz",
    task="Write newton_schulz(matrix, steps, coefficients) -> a matrix of the same shape. Divide the matrix "
    "by the root of its sum of squares, once; then `steps` times, 0 or more, X -> a X + b (X X^T) X + c (X X^T)^2 X, "
    "with coefficients = (a, b, c). Zeros stay zeros. No decomposition, and no tensor larger than the matrix: a tall "
    "one is transposed first and back at the end.",
    stages=(
        schulz_keeps_the_shape,
        schulz_starts_from_norm_one,
        schulz_survives_zero,
        schulz_maps_the_values,
        schulz_multiplies_matrices,
        schulz_repeats,
        schulz_stays_small,
    ),
    reference=_schulz,
    mutants={
        "return one of the same shape": lambda m, n, abc: _schulz(m if m.shape[0] <= m.shape[1] else m.T, n, abc),
        "divide by the norm before the first round": _schulz_with(norm=lambda x: torch.ones(())),
        "the norm is the root of the sum of all squares": _schulz_with(norm=lambda x: torch.linalg.matrix_norm(x, 2)),
        "mind the division by its norm": _schulz_with(least=0.0),
        "changed its argument `matrix`": lambda m, n, abc: _schulz(m.div_(m.norm().clamp(min=1e-7)), n, abc),
        "a times the matrix, is missing": _schulz_with(lambda x, g, k: (k[1] * g + k[2] * g @ g) @ x),
        "c to the fifth": _schulz_with(lambda x, g, k: k[0] * x + (k[2] * g + k[1] * g @ g) @ x),
        "the powers are one too low": _schulz_with(lambda x, g, k: k[0] * x + k[1] * x * x + k[2] * (x * x) ** 2),
        "with the coefficients given": lambda m, n, abc: _schulz(m, n, MUON),
        "powers of the entries": _schulz_with(lambda x, g, k: k[0] * x + k[1] * x**3 + k[2] * x**5),
        "(X X^T)^2 is a matrix product": _schulz_with(lambda x, g, k: k[0] * x + (k[1] * g + k[2] * g**2) @ x),
        "feed the result of a round into the next": lambda m, n, abc: _schulz(m, min(n, 1), abc),
        "take the norm and its division out of the loop": _schulz_norm_each_round,
        "put the product on the": _schulz_long_side,
        "no decomposition": _by_values,
    },
    alternatives={
        "on the right of a tall matrix": _schulz_by_columns,
        "recursion and einsum": _schulz_by_einsum,
    },
    hints=(
        "Three lines: the norm, the loop, and a transpose before and after when there are more rows than columns.",
        "With gram = x @ x.T the round is a x + (b gram + c gram gram) x: two small products and one wide one.",
        "x = x / x.norm().clamp(min=1e-7), then `steps` times x = a * x + (b * gram + c * gram @ gram) @ x.",
    ),
    difficulty=3,
    minutes=12,
)
