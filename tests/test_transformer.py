import pytest
import torch

from course_lib.models.transformer import (
    Block,
    Decoder,
    KeyValueCache,
    Past,
    PatchEncoder,
    VisionTransformer,
    cached_mask,
)


def decoder():
    torch.manual_seed(0)
    return Decoder(11, length=9, width=12, depth=2, heads=3, expand=2).eval()


def test_with_the_cache_the_scores_are_those_of_one_pass():
    model, tokens, cache = decoder(), torch.randint(1, 11, (4, 9)), KeyValueCache()
    whole, start = model(tokens), 0
    for size in (3, 1, 1, 4):
        part = model.read(model.embed(tokens[:, start : start + size]), None, cache)
        torch.testing.assert_close(part, whole[:, start : start + size], rtol=1e-4, atol=1e-5)
        start += size
    assert cache.length == 9


def test_the_cache_weighs_what_the_formula_says():
    model, cache = decoder(), KeyValueCache()
    model.read(model.embed(torch.ones(5, 7, dtype=torch.int64)), None, cache)
    assert cache.bytes == 2 * 2 * 5 * 3 * 7 * 4 * 4  # sides, layers, B, H, S, E, bytes of a float32


def test_padding_on_the_left_changes_nothing():
    model, tokens = decoder(), torch.randint(1, 11, (3, 5))
    padded = torch.cat([torch.zeros(3, 3, dtype=torch.int64), tokens], dim=1)
    read = model.read(model.embed(padded), padded != 0)
    torch.testing.assert_close(read[:, 3:], model(tokens), rtol=1e-4, atol=1e-5)
    x = model.embed(padded)
    x[:, :3] = 1e6  # whatever stands at padding is never read
    torch.testing.assert_close(model.read(x, padded != 0)[:, 3:], read[:, 3:], rtol=0, atol=0)


def test_a_selected_cache_goes_on_as_its_rows_would():
    model, tokens, cache = decoder(), torch.randint(1, 11, (3, 4)), KeyValueCache()
    model.read(model.embed(tokens), None, cache)
    rows, word = torch.tensor([2, 0, 2, 1]), torch.tensor([5, 6, 7, 8])
    cache.select(rows)
    found = model.read(model.embed(word[:, None]), None, cache)[:, -1]
    whole = model(torch.cat([tokens[rows], word[:, None]], dim=1))[:, -1]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


def test_the_mask_by_hand():
    readable = torch.tensor([[False, True, True, True], [True, True, True, True]])
    mask = cached_mask(readable, 2)
    assert mask[0, 0].tolist() == [[False, True, True, False], [False, True, True, True]]
    assert mask[1, 0].tolist() == [[True, True, True, False], [True, True, True, True]]
    assert cached_mask(readable, 4)[0, 0, 0].tolist() == [True, False, False, False]  # padding reads itself


def test_a_decoder_says_when_it_is_full():
    model, cache = decoder(), KeyValueCache()
    model.read(torch.randn(1, 8, 12), None, cache)
    with pytest.raises(ValueError, match="10 positions came, this decoder has 9; .* length=10"):
        model.read(torch.randn(1, 2, 12), None, cache)


def test_a_block_without_a_past_is_the_block_with_one():
    torch.manual_seed(0)
    block, x = Block(12, 3, causal=True), torch.randn(2, 6, 12)
    cache = KeyValueCache()
    first = block(x[:, :4], cached_mask(cache.note(torch.ones(2, 4, dtype=torch.bool)), 4), Past(cache, 0))
    last = block(x[:, 4:], cached_mask(cache.note(torch.ones(2, 2, dtype=torch.bool)), 2), Past(cache, 0))
    torch.testing.assert_close(torch.cat([first, last], dim=1), block(x), rtol=1e-4, atol=1e-5)


def test_a_past_without_a_mask_is_refused():
    """A kernel's own "causal" would let the first new position read the first old one only."""
    block, cache = Block(12, 3, causal=True), KeyValueCache()
    with pytest.raises(ValueError, match="past came without a mask; give cached_mask"):
        block(torch.randn(2, 4, 12), past=Past(cache, 0))


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_that_do_not_fit_are_refused(heads):
    with pytest.raises(ValueError, match=rf"12 does not split into {heads} equal heads; try heads in \[1, 2, 3, 4, 6"):
        Block(12, heads)


def test_patches_stand_row_by_row():
    torch.manual_seed(0)
    encoder = PatchEncoder(12, 4, 3, width=8, depth=0, heads=2)
    images = torch.rand(2, 3, 12, 12)
    one = encoder.patches.weight.flatten(1) @ images[1, :, 4:8, 8:12].flatten() + encoder.patches.bias
    torch.testing.assert_close(encoder(images)[1, 5], one + encoder.positions[5], rtol=1e-4, atol=1e-5)


def test_a_vision_transformer_is_a_pooled_patch_encoder():
    torch.manual_seed(0)
    whole = VisionTransformer(12, 4, 3, width=8, depth=2, heads=2, outputs=5)
    encoder = PatchEncoder(12, 4, 3, width=8, depth=2, heads=2)
    encoder.load_state_dict({n: v for n, v in whole.state_dict().items() if not n.startswith(("norm.", "head."))})
    images = torch.rand(2, 3, 12, 12)
    torch.testing.assert_close(whole(images), whole.head(whole.norm(encoder(images)).mean(dim=1)))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"width 12 does not split into 5 equal heads; try heads in \[1, 2, 3, 4, 6, 12\]"
    ):
        Block(12, 5)
    with pytest.raises(ValueError, match=r"patches of 5 pixels do not tile 16 pixels; try patch in \[1, 2, 4, 8, 16\]"):
        PatchEncoder(16, 5, 3, width=8, depth=1, heads=2)
