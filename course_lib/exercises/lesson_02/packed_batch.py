"""Exercise 02.4: several documents in one sequence that do not feel each other."""

import torch

from course_lib.lesson.exercises import Exercise

PADDED = 12
"""Places of the sequence: the documents below fill nine."""


def _documents():
    """Three documents; 0 is a token like any other, and each begins with a token that learn asks for."""
    return [
        (torch.tensor([5, 0, 7, 8]), torch.tensor([True, True, False, True])),
        (torch.tensor([9]), torch.tensor([True])),
        (torch.tensor([0, 5, 0, 7]), torch.tensor([True, True, False, True])),
    ]


def _result(packed_batch, documents, length):
    result = packed_batch(documents, length)
    count = len(result) if isinstance(result, tuple) else 0
    assert count == 4, f"give four tensors as a tuple (ids, positions, labels, mask), not a {type(result).__name__}"
    for name, each, shape in zip(
        ("ids", "positions", "labels", "mask"), result, [(length,)] * 3 + [(length, length)], strict=True
    ):
        came = tuple(getattr(each, "shape", ()))
        assert came == shape, f"{name} has the shape {came}; {length} places make {shape}, padding included"
        kind, right = str(each.dtype), "torch.bool" if name == "mask" else "torch.int64"
        assert kind == right, f"{name} is {kind}; make it {right}"
    return result


def packed_keeps_every_token(packed_batch):
    ids, *_ = _result(packed_batch, _documents(), PADDED)
    assert ids.tolist() == [5, 0, 7, 8, 9, 0, 5, 0, 7, 0, 0, 0], (
        f"ids are {ids.tolist()}; the documents stand one behind the other, as they came, and then zeros"
    )
    full, *_ = _result(packed_batch, _documents(), 9)
    assert full.tolist() == [5, 0, 7, 8, 9, 0, 5, 0, 7], "nine tokens fill nine places, without padding"


def packed_counts_anew_in_each_document(packed_batch):
    _, positions, *_ = _result(packed_batch, _documents(), PADDED)
    got = positions.tolist()
    assert got != list(range(PADDED)), "positions run on from one document to the next; each starts at 0"
    assert got[:9] == [0, 1, 2, 3, 0, 0, 1, 2, 3], f"positions are {got}; each document counts its tokens from 0"
    assert got[9:] == [0, 0, 0], f"padding has the positions {got[9:]}; give it 0"


def packed_learns_what_is_to_be_learnt(packed_batch):
    _, _, labels, _ = _result(packed_batch, _documents(), PADDED)
    got = labels.tolist()
    assert got[:3] != [0, -100, 8], "labels were shifted; the loss does that: labels[t] is the token of place t or -100"
    assert got[2] == got[7] == -100, "a token with learn False is a label; such tokens are prompt or image, so -100"
    assert got[9:] == [-100] * 3, f"padding has the labels {got[9:]}; nothing is predicted there, so -100"
    assert got[0] == got[4] == got[5] == -100, (
        f"first tokens of documents have the labels {got[0]}, {got[4]} and {got[5]}: no place before them in their own "
        "document could predict them, so each is -100, whatever learn says"
    )
    assert got[1] == 0, f"token 0, which is to be learnt, has the label {got[1]}; 0 is a token like any other"
    assert got == [-100, 0, -100, 8, -100, -100, 5, -100, 7, -100, -100, -100], f"labels are {got}"


def packed_keeps_documents_apart(packed_batch):
    *_, mask = _result(packed_batch, _documents(), PADDED)
    assert not mask[:9, :9].triu(1).any(), "a token reads one that comes later; mask[q, k] is True for k up to q only"
    assert mask.diagonal()[:9].all(), "a token does not read itself; the causal mask includes its own place"
    for name, start, end in (("second", 4, 5), ("third", 5, 9)):
        assert not mask[start:end, :start].any(), f"the {name} document reads the one before it; keep them apart"
    whole = [mask[start:end, start:end].tril().sum().item() for start, end in ((0, 4), (5, 9))]
    assert whole == [10, 10], (
        f"inside documents of four tokens {whole} of 10 pairs may be read: all that come before, tokens 0 included"
    )


def packed_padding_is_harmless(packed_batch):
    *_, mask = _result(packed_batch, _documents(), PADDED)
    assert not mask[:9, 9:].any(), "a token reads padding"
    assert mask[9:].any(dim=1).all(), (
        "a place of padding may read nothing: the softmax of its row is NaN; let it read itself"
    )
    assert not mask[9:, :9].any(), "padding reads a document; let it read itself alone"
    assert torch.equal(mask[9:, 9:], torch.eye(3, dtype=torch.bool)), "padding reads other padding; itself alone"
    none, positions, labels, mask = _result(packed_batch, [], 3)
    assert none.tolist() == positions.tolist() == [0, 0, 0] and labels.tolist() == [-100] * 3, (
        "no document makes a sequence of padding: ids 0, positions 0, labels -100"
    )
    assert torch.equal(mask, torch.eye(3, dtype=torch.bool)), "in a sequence of padding alone each place reads itself"


def packed_refuses_what_does_not_fit(packed_batch):
    for length in (8, 0):
        try:
            packed_batch(_documents(), length)
        except ValueError:
            continue
        except (RuntimeError, IndexError) as error:
            kind = type(error).__name__
            raise AssertionError(
                f"9 tokens for {length} places ended in an {kind}; raise ValueError before anything else"
            ) from None
        raise AssertionError(f"9 tokens for {length} places were accepted; cutting is no packing, raise ValueError")


def _packed_batch(documents, length):
    used = sum(len(own) for own, _ in documents)
    if used > length:
        raise ValueError(f"{used} tokens do not fit in {length} places")
    ids, positions = torch.zeros(2, length, dtype=torch.int64)
    labels = torch.full((length,), -100)
    group = -1 - torch.arange(length)  # each place of padding is a document of its own
    start = 0
    for number, (own, learn) in enumerate(documents):
        here = slice(start, start + len(own))
        ids[here], positions[here], group[here] = own, torch.arange(len(own)), number
        labels[here] = torch.where(learn, own, -100)
        labels[start] = -100
        start += len(own)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return ids, positions, labels, (group[:, None] == group) & causal


def _by_blocks(documents, length):
    sizes = [own.numel() for own, _ in documents]
    rest = length - sum(sizes)
    if rest < 0:
        raise ValueError(f"{-rest} tokens too many")
    zeros = torch.zeros(rest, dtype=torch.long)
    ids = torch.cat([own for own, _ in documents] + [zeros])
    positions = torch.cat([torch.arange(size) for size in sizes] + [zeros])
    learn = torch.cat([flags for _, flags in documents] + [zeros.bool()]) & (positions > 0)
    blocks = [torch.ones(size, size) for size in sizes] + [torch.eye(rest)]
    return ids, positions, ids.masked_fill(~learn, -100), torch.block_diag(*blocks).tril().bool()


def _by_lists(documents, length):
    ids, positions, labels, owner = [], [], [], []
    for number, (own, learn) in enumerate(documents):
        for place, (token, wanted) in enumerate(zip(own.tolist(), learn.tolist(), strict=True)):
            ids.append(token)
            positions.append(place)
            labels.append(token if wanted and place else -100)
            owner.append(number)
    if len(ids) > length:
        raise ValueError("too long")
    while len(ids) < length:
        owner.append(f"padding {len(ids)}")
        ids.append(0)
        positions.append(0)
        labels.append(-100)
    mask = [[q >= k and owner[q] == owner[k] for k in range(length)] for q in range(length)]
    return *map(torch.tensor, (ids, positions, labels)), torch.tensor(mask)


def _change(place, change):
    """The reference with one of its four tensors changed; change(tensor, used, documents)."""

    def answer(documents, length):
        result = list(_packed_batch(documents, length))
        result[place] = change(result[place], sum(len(own) for own, _ in documents), documents)
        return tuple(result)

    return answer


def _label_all(labels, used, documents):
    ids = torch.cat([own for own, _ in documents] + [torch.full((len(labels) - used,), -100)])
    starts = torch.tensor([0, *[len(own) for own, _ in documents]]).cumsum(0)[:-1]
    return ids.index_fill(0, starts, -100)


def _label_firsts(labels, used, documents):
    learn = torch.cat([flags for _, flags in documents])
    ids = torch.cat([own for own, _ in documents])
    return torch.cat([torch.where(learn, ids, -100), labels[used:]])


def _first_of_all(labels, used, documents):
    """Minds the seams, and forgets that the first document begins, too."""
    return torch.cat([documents[0][0][:1], labels[1:]]) if documents else labels


def _by_token(mask, used, documents):
    """Padding is told by its id, which is that of a token, too."""
    ids = torch.cat([own for own, _ in documents] + [torch.zeros(len(mask) - used, dtype=torch.int64)])
    return mask & ((ids != 0) | torch.eye(len(mask), dtype=torch.bool))


def _one_group_of_padding(mask, used, documents):
    return mask | ((torch.arange(len(mask)) >= used)[:, None] & (torch.arange(len(mask)) >= used))


def _padding_reads_the_first(mask, used, documents):
    return mask.index_put((torch.arange(used, len(mask)), torch.tensor(0)), torch.tensor(True))


def _cut(documents, length):
    """Leaves out what does not fit."""
    kept, room = [], length
    for own, learn in documents:
        if min(room, len(own)) > 0:
            kept.append((own[:room], learn[:room]))
        room -= min(room, len(own))
    return _packed_batch(kept, length)


def _meets_the_end(documents, length):
    return _packed_batch(documents, length) if sum(len(own) for own, _ in documents) <= length else torch.zeros(8)[9]


packed_batch = Exercise(
    id="02.4 packed_batch",
    task="Write packed_batch(documents, length): a list of pairs (ids, learn), int64 (n,) and bool (n,), n of 1 or "
    "more -> (ids, positions, labels, mask) of one sequence: int64 (length,) three times and bool (length, length). "
    "The documents stand in their order, then padding: id 0, position 0, label -100. Positions start at 0 in each. "
    "labels[t] is the token of place t where learn says so, else -100; a document's first token is always -100. "
    "mask[q, k]: same document and k <= q; padding reads itself alone. Too many tokens: ValueError.",
    stages=(
        packed_keeps_every_token,
        packed_counts_anew_in_each_document,
        packed_learns_what_is_to_be_learnt,
        packed_keeps_documents_apart,
        packed_padding_is_harmless,
        packed_refuses_what_does_not_fit,
    ),
    reference=_packed_batch,
    mutants={
        "give four tensors": lambda documents, length: _packed_batch(documents, length)[0],
        "padding included": lambda documents, length: _packed_batch(documents, min(length, 10)),
        "make it torch.bool": _change(3, lambda mask, *_: mask.float()),
        "as they came, and then zeros": lambda documents, length: _packed_batch(documents[::-1], length),
        "positions run on": _change(1, lambda positions, *_: torch.arange(len(positions))),
        "counts its tokens from 0": _change(1, lambda positions, used, _: (positions + 1) * (positions >= 0)),
        "padding has the positions": _change(
            1, lambda positions, used, _: torch.cat([positions[:used], torch.arange(len(positions) - used)])
        ),
        "labels were shifted": _change(2, lambda labels, *_: torch.cat([labels[1:], labels[:1]])),
        "such tokens are prompt or image": _change(2, _label_all),
        "padding has the labels": _change(
            2, lambda labels, used, _: labels.masked_fill(torch.arange(len(labels)) >= used, 0)
        ),
        "whatever learn says": _change(2, _label_firsts),
        "labels 5, -100 and -100": _change(2, _first_of_all),
        "0 is a token like any other": _change(2, lambda labels, *_: torch.where(labels > 0, labels, -100)),
        "one that comes later": _change(3, lambda mask, *_: mask | mask.T),
        "includes its own place": _change(
            3, lambda mask, used, _: mask & ~torch.diag(torch.arange(len(mask)) < used).bool()
        ),
        "reads the one before it": _change(
            3, lambda mask, used, _: mask | (torch.ones_like(mask).tril() & (torch.arange(len(mask)) < used))
        ),
        "tokens 0 included": _change(3, _by_token),
        "a token reads padding": _change(3, lambda mask, used, _: mask | (torch.arange(len(mask)) >= used)),
        "softmax of its row is NaN": _change(3, lambda mask, used, _: mask & (torch.arange(len(mask)) < used)[:, None]),
        "padding reads a document": _change(3, _padding_reads_the_first),
        "padding reads other padding": _change(3, _one_group_of_padding),
        "cutting is no packing": _cut,
        "ended in an IndexError": _meets_the_end,
    },
    alternatives={
        "blocks on a diagonal": _by_blocks,
        "Python lists": _by_lists,
    },
    hints=(
        "Give every place the number of its document. Which places may read each other is then one comparison.",
        "mask = (group[:, None] == group) & causal. Give each place of padding a number of its own.",
        "Per document: ids[here] = own, positions[here] = arange(n), labels[here] = where(learn, own, -100), and "
        "labels[start] = -100.",
    ),
    difficulty=3,
    minutes=20,
)
