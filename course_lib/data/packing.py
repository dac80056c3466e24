"""Pack documents of unequal length into sequences of one length, so that little of the work is done on padding.

A model that reads a packed sequence needs a mask that keeps its documents apart, and positions that start anew in each.
"""

from collections.abc import Sequence

from course_lib import refuse


@refuse.misfit
def first_fit(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Return sequences as lists of document numbers: longest first, each into the first sequence with room for it.

    lengths, capacity: in tokens. First-fit decreasing needs at most 11/9 of the fewest possible sequences plus one.
    """
    short = [number for number, length in enumerate(lengths) if not length >= 1]
    if short:  # a negative length would make room where there is none
        raise ValueError(f"document {short[0]} has {lengths[short[0]]} tokens; leave out what has none")
    if len(lengths) > 0 and max(lengths) > capacity:
        raise ValueError(
            f"a document of {max(lengths)} tokens does not fit in {capacity}; cut it or raise the capacity"
        )
    packed, room = [], []
    for document in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        place = next((p for p, free in enumerate(room) if free >= lengths[document]), len(packed))
        if place == len(packed):
            packed.append([])
            room.append(capacity)
        packed[place].append(document)
        room[place] -= lengths[document]
    return packed


@refuse.misfit
def full_share(lengths: Sequence[int], sequences: int, capacity: int) -> float:
    """Return the part of all places that real tokens fill: 1 is no padding at all.

    ValueError where there is no place, or more tokens than places.
    """
    places, tokens = sequences * capacity, sum(lengths)
    if not 0 <= tokens <= places or places == 0:
        raise ValueError(f"{tokens} tokens do not fit in {sequences} sequences of {capacity}, {places} places")
    return tokens / places
