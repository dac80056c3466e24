"""Exercise 02.4: one shuffle for images and their texts."""

import random

import numpy as np
import torch

from course_lib.lesson.exercises import Exercise


def _pairs(count=40):
    images = torch.arange(count, dtype=torch.float32)[:, None, None].repeat(1, 2, 3)  # (B, 2, 3), image i is all i
    return images, [f"caption {number}" for number in range(count)]


def _numbers(images, texts):
    kind = type(images).__name__
    assert isinstance(images, torch.Tensor), f"the images came back as a {kind}; return a tensor, the texts as a list"
    return images[:, 0, 0].long().tolist(), [int(text.split()[1]) for text in texts]


def shuffle_loses_nothing(paired_shuffle):
    seen, read = _numbers(*paired_shuffle(*_pairs(), 0))
    for what, numbers in (("images", seen), ("texts", read)):
        assert sorted(numbers) == list(range(40)), f"some {what} came twice or not at all; a shuffle is a permutation"
    images, texts = paired_shuffle(torch.arange(7, dtype=torch.uint8), list("abcdefg"), 5)
    assert images.dtype == torch.uint8 and images.shape == (7,) and len(texts) == 7, (
        f"seven numbers of type uint8 came back as {tuple(images.shape)}, {images.dtype}; shuffle the first "
        "axis, whatever the others are, and keep the type"
    )


def shuffle_keeps_pairs(paired_shuffle):
    seen, read = _numbers(*paired_shuffle(*_pairs(), 0))
    kept = sum(image == text for image, text in zip(seen, read, strict=True))
    assert kept == 40, f"{kept} of 40 images still have their caption; one order has to serve both"
    images, texts = _pairs()
    seen, read = _numbers(*paired_shuffle(images, [f"caption {number // 4}" for number in range(40)], 0))
    assert sorted(seen) == list(range(40)) and [number // 4 for number in seen] == read, (
        "with four images to each caption pairs were lost: two rows may have equal texts, so go by number, not by text"
    )


def shuffle_shuffles(paired_shuffle):
    seen, _ = _numbers(*paired_shuffle(*_pairs(), 0))
    assert seen != list(range(40)), "the order is the old one"
    moved = sum(place != number for place, number in enumerate(seen))
    assert moved > 25, f"{40 - moved} of 40 stayed where they were; by luck one does"
    together = max(sum((b - a) % 40 == step for a, b in zip(seen, seen[1:], strict=False)) for step in (1, 39))
    assert together < 15, (
        f"{together} of 40 images still have their old neighbour, by luck one has: turning a list is not shuffling it"
    )


def shuffle_follows_the_seed(paired_shuffle):
    torch.manual_seed(1)
    random.seed(1)
    first, again, other = (_numbers(*paired_shuffle(*_pairs(), seed))[0] for seed in (3, 3, 4))
    assert first == again, "one seed gave two orders; a run that resumes needs the same one again"
    assert first != other, "two seeds gave one order; epochs would all look alike"


def shuffle_is_fair(paired_shuffle):
    orders = [_numbers(*paired_shuffle(*_pairs(), seed))[0] for seed in range(60)]
    places = {order.index(0) for order in orders}
    assert min(places) < 15 and max(places) > 24 and len(places) > 20, (
        f"over 60 seeds image 0 comes to {len(places)} places, {min(places)} to {max(places)}; any of 40 may be its"
    )
    after = {order[(order.index(0) + 1) % 40] for order in orders}
    assert len(after) > 20, (
        f"over 60 seeds only {len(after)} images ever follow image 0: each seed draws an order of its own, it does not "
        "turn one or pick from a few"
    )


def shuffle_refuses_a_torn_set(paired_shuffle):
    images, texts = _pairs()
    for count_images, count_texts in ((40, 39), (39, 40), (40, 1)):
        told = f"{count_texts} texts for {count_images} images"
        try:
            paired_shuffle(images[:count_images], texts[:count_texts], 0)
        except ValueError:
            continue
        except AssertionError:
            raise AssertionError("an assert is not there under python -O; raise ValueError with both counts") from None
        except (IndexError, RuntimeError) as error:
            raise AssertionError(
                f"{told} ended in an {type(error).__name__}; raise ValueError with both counts, before anything else"
            ) from None
        raise AssertionError(f"{told} were accepted in silence; raise ValueError")


def _paired_shuffle(images, texts, seed):
    if len(images) != len(texts):
        raise ValueError(f"{len(images)} images and {len(texts)} texts are not pairs")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_twice(images, texts, seed):
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], random.Random(seed).sample(texts, len(texts))


def _shuffle_with_replacement(images, texts, seed):
    rows = torch.randint(len(images), (len(images),), generator=torch.Generator().manual_seed(seed))
    return images[rows], [texts[row] for row in rows.tolist()]


def _shuffle_globally(images, texts, seed):
    order = torch.randperm(len(images))
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_in_place(images, texts, seed):
    shuffled, texts[:] = _paired_shuffle(images, texts, seed)
    return shuffled, texts


def _shuffle_checks_one_way(images, texts, seed):
    if len(images) > len(texts):
        raise ValueError("too few texts")
    return _paired_shuffle(images, texts[: len(images)], seed)


def _shuffle_meets_the_end(images, texts, seed):
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_by_dict(images, texts, seed):
    if len(images) != len(texts):
        raise ValueError("not pairs")
    image_of = dict(zip(texts, images, strict=True))
    order = random.Random(seed).sample(texts, len(texts))
    return torch.stack([image_of[text] for text in order]), order


def _shuffle_halves(images, texts, seed):
    """Shuffles each half and swaps the two."""
    if len(images) != len(texts):
        raise ValueError("not pairs")
    order = torch.randperm(len(texts) // 2, generator=torch.Generator().manual_seed(seed))
    order = torch.cat([order + len(texts) // 2, order, torch.arange(len(texts) // 2 * 2, len(texts))])
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_asserts(images, texts, seed):
    assert len(images) == len(texts)
    return _paired_shuffle(images, texts, seed)


def _shuffle_unchecked(images, texts, seed):
    count = min(len(images), len(texts))
    return _paired_shuffle(images[:count], texts[:count], seed)


def _shuffle_pairs(images, texts, seed):
    pairs = list(zip(images, texts, strict=True))  # ValueError when the lengths differ
    random.Random(seed).shuffle(pairs)
    return torch.stack([image for image, _ in pairs]), [text for _, text in pairs]


def _shuffle_by_keys(images, texts, seed):
    if images.size(0) != len(texts):
        raise ValueError((images.size(0), len(texts)))
    keys = np.random.default_rng(seed).random(len(texts))
    order = sorted(range(len(texts)), key=keys.__getitem__)
    return torch.index_select(images, 0, torch.tensor(order)), tuple(texts[row] for row in order)


paired_shuffle = Exercise(
    id="02.4 paired_shuffle",
    task="Write paired_shuffle(images, texts, seed): a tensor (B, ...) and a list of B texts -> both in one new "
    "random order. Every image keeps its text, the seed decides, the input stays; unequal counts: ValueError.",
    stages=(
        shuffle_loses_nothing,
        shuffle_keeps_pairs,
        shuffle_shuffles,
        shuffle_follows_the_seed,
        shuffle_is_fair,
        shuffle_refuses_a_torn_set,
    ),
    reference=_paired_shuffle,
    mutants={
        "came twice or not at all": _shuffle_with_replacement,
        "one order has to serve both": _shuffle_twice,
        "the order is the old one": lambda images, texts, seed: (
            _paired_shuffle(images, texts, seed) and (images, list(texts))
        ),
        "stayed where they were": lambda images, texts, seed: (
            (images.roll(1, 0), [texts[-1], *texts[:-1]])
            if len(texts) < 40
            else (torch.cat([images[1:9], images[:1], images[9:]]), [*texts[1:9], texts[0], *texts[9:]])
        ),
        "one seed gave two orders": _shuffle_globally,
        "two seeds gave one order": lambda images, texts, seed: _paired_shuffle(images, texts, 0),
        "changed its argument `texts`": _shuffle_in_place,
        "39 texts for 40 images were accepted": _shuffle_unchecked,
        "40 texts for 39 images were accepted": _shuffle_checks_one_way,
        "ended in an IndexError": _shuffle_meets_the_end,
        "go by number, not by text": _shuffle_by_dict,
        "and keep the type": lambda images, texts, seed: (
            lambda shuffled, read: (shuffled.float().reshape(len(read), *images.shape[1:]), read)
        )(*_paired_shuffle(images, texts, seed)),
        "return a tensor": lambda images, texts, seed: tuple(map(list, _paired_shuffle(images, texts, seed))),
        "an assert is not there": _shuffle_asserts,
        "turning a list is not shuffling": lambda images, texts, seed: (
            _paired_shuffle(images, texts, seed),
            images.roll(seed + 1, 0),
            texts[-seed - 1 :] + texts[: -seed - 1],
        )[1:],
        "any of 40 may be its": _shuffle_halves,
        "it does not turn one": lambda images, texts, seed: (
            lambda shuffled, read: (shuffled.roll(seed, 0), read[-seed % 40 :] + read[: -seed % 40])
        )(*_paired_shuffle(images, texts, 0)),
    },
    alternatives={
        "shuffle a list of pairs": _shuffle_pairs,
        "sort by random keys": _shuffle_by_keys,
    },
    hints=(
        "Shuffle numbers, not things. How many orders do you need?",
        "order = torch.randperm(B, generator=torch.Generator().manual_seed(seed)); index images and texts with it.",
        "images[order], [texts[row] for row in order.tolist()], after a check that both have the same length.",
    ),
    difficulty=1,
    minutes=10,
)
