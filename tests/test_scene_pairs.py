"""Scene vectors: pixels and words of the same scenes, in the same order, of one width."""

import pytest
import torch

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_pairs import LONGEST, scene_pairs
from course_lib.data.scenes import make_scenes


def test_rows_are_the_scenes_and_their_captions():
    pairs = scene_pairs(5, seed=3, objects=(1, 2))
    scenes = make_scenes(5, seed=3, objects=(1, 2))
    assert torch.equal(pairs.image.view(5, 3, 16, 16), scenes.images)
    ids = pairs.text.view(5, LONGEST[3], len(ENGLISH)).argmax(dim=-1)
    assert [ENGLISH.decode(row) for row in ids] == scenes.captions


@pytest.mark.parametrize("objects", LONGEST)
def test_the_longest_caption_is_known(objects):
    captions = make_scenes(20, seed=0, objects=(objects, objects)).captions
    assert {len(ENGLISH.encode(caption)) for caption in captions} == {LONGEST[objects]}
    with pytest.raises(ValueError, match=r"needs more room than most=1"):
        scene_pairs(3, seed=0, objects=(2, 2), most=1)
    with pytest.raises(ValueError, match="most=5 does not fit; a scene holds 1 to 4"):
        scene_pairs(3, seed=0, objects=(2, 2), most=5)
