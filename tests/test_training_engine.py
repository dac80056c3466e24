"""One step's gradient is that of the mean over its examples, however it is cut."""

import pytest
import torch
from torch import nn

from course_lib.training.config import TrainConfig
from course_lib.training.engine import Engine

DATA = torch.Generator().manual_seed(4)
TOKENS = torch.randint(0, 9, (10, 6), generator=DATA)
REAL = torch.arange(6) < torch.tensor([1, 6, 2, 5, 1, 6, 1, 3, 6, 2])[:, None]  # lengths that differ


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 5), nn.Linear(5, 9)

    def forward(self, tokens):
        return self.head(torch.tanh(self.embed(tokens)))


def token_loss(model, batch):
    tokens, real = batch
    return nn.functional.cross_entropy(model(tokens)[real], (tokens + 1)[real] % 9)


def example_loss(model, batch):
    return model(batch[0]).square().mean()


def engine(loss, weigh=None, say=print, **settings):
    torch.manual_seed(0)
    config = TrainConfig(steps=1, batch_size=10, progress="none", **settings)
    return Engine(Tagger().double(), loss, config, weigh, say)


def gradient(engine):
    loss = engine.gradient((TOKENS, REAL), 10)
    return loss, [p.grad.clone() for p in engine.parameters]


def assert_same(a, b, **tolerance):
    torch.testing.assert_close(a[0], b[0], **tolerance)
    for x, y in zip(a[1], b[1], strict=True):
        torch.testing.assert_close(x, y, **tolerance)


def differ(a, b):
    return max(float((x - y).abs().max()) for x, y in zip(a[1], b[1], strict=True))


@pytest.mark.parametrize("micro", [1, 3, 4, 10])
def test_micro_batches_of_any_size_give_the_gradient_of_the_whole(micro):
    assert_same(gradient(engine(example_loss, micro_batch_size=micro)), gradient(engine(example_loss)))


@pytest.mark.parametrize("micro", [1, 3, 4])
def test_unequal_micro_batches_weigh_by_their_tokens(micro):
    whole = gradient(engine(token_loss))
    by_tokens = gradient(engine(token_loss, weigh=lambda batch: batch[1].sum(), micro_batch_size=micro))
    by_examples = gradient(engine(token_loss, micro_batch_size=micro))
    assert_same(by_tokens, whole, rtol=1e-5, atol=1e-7)
    assert differ(by_examples, whole) > 1e-3  # what the weights are for


def test_a_full_memory_halves_the_passes_and_keeps_the_gradient():
    sizes, said = [], []

    def hungry(model, batch):
        sizes.append(len(batch[0]))
        if len(batch[0]) > 3:
            raise torch.OutOfMemoryError("simulated")
        return example_loss(model, batch)

    one = engine(hungry, say=said.append, micro_batch_size="auto")
    assert_same(gradient(one), gradient(engine(example_loss)))
    assert sizes == [10, 5, 3, 3, 2, 2]
    assert len(said) == 2 and "3 examples per pass from here on instead of 5" in said[1]
    gradient(one)
    assert sizes[6:] == [3, 3, 2, 2] and len(said) == 2  # the size stays, and it is said once


def test_memory_that_runs_out_in_the_backward_pass_leaves_no_half_gradient():
    calls = []

    class Explode(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            calls.append(1)
            if len(calls) == 2:  # the second pass of the step: the first has left its gradient already
                raise torch.OutOfMemoryError("simulated")
            return grad

    def loss(model, batch):
        return Explode.apply(example_loss(model, batch))

    one = engine(loss, micro_batch_size="auto", say=lambda line: None)
    one.micro = 5
    assert_same(gradient(one), gradient(engine(example_loss)))


def test_one_example_too_many_is_an_error_and_a_fixed_size_is_not_changed():
    def full(model, batch):
        raise torch.OutOfMemoryError("simulated")

    with pytest.raises(torch.OutOfMemoryError, match="no smaller micro-batch"):
        gradient(engine(full, micro_batch_size="auto", say=lambda line: None))
    with pytest.raises(torch.OutOfMemoryError, match="simulated"):
        gradient(engine(full, micro_batch_size=5))


def test_a_loss_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"shape \(10, 6, 9\); return one number"):
        gradient(engine(lambda model, batch: model(batch[0])))


def test_clipping_shortens_to_the_norm_and_reports_the_length_before():
    one = engine(lambda model, batch: 1000 * example_loss(model, batch), clip_norm=0.25)
    _, grads = gradient(one)
    before = torch.cat([g.flatten() for g in grads]).norm()
    torch.testing.assert_close(one.clip(torch.optim.SGD(one.parameters, lr=1.0)), before)
    after = torch.cat([p.grad.flatten() for p in one.parameters]).norm()
    assert after.item() == pytest.approx(0.25, rel=1e-5) and before > 1
    assert one.gradient_norm() == pytest.approx(0.25, rel=1e-5)


def test_the_scaler_keeps_small_fp16_gradients_and_skips_infinite_ones():
    torch.manual_seed(0)
    model = nn.Linear(4, 1, bias=False)
    start = model.weight.detach().clone()
    config = TrainConfig(steps=1, precision="fp16", clip_norm=1.0)
    one = Engine(model, lambda m, b: m(b[0]).float().mean() * 1e-7, config, None, print)  # under fp16's least number
    rule = torch.optim.SGD(model.parameters(), lr=1e7)
    one.gradient((torch.ones(8, 4),), 8)
    one.clip(rule)
    one.update(rule, 1e7)
    torch.testing.assert_close(model.weight, start - 1, rtol=1e-3, atol=1e-3)
    held = model.weight.detach().clone()
    one.loss = lambda m, b: m(b[0]).float().mean() * 1e9
    one.gradient((torch.ones(8, 4),), 8)
    assert torch.isinf(one.clip(rule))
    one.update(rule, 1e7)
    assert torch.equal(model.weight, held) and one.scaler.get_scale() == 2.0**15


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_products_have_the_format_asked_for_and_weights_stay_fp32(precision, dtype):
    seen = []

    def loss(model, batch):
        out = model(batch[0])
        seen.append(out.dtype)
        return out.float().mean()

    model = nn.Linear(4, 2)
    one = Engine(model, loss, TrainConfig(steps=1, precision=precision), None, print)
    one.gradient((torch.ones(8, 4),), 8)
    assert seen == [dtype] and model.weight.dtype == model.weight.grad.dtype == torch.float32


def test_compiled_and_plain_agree():
    pytest.importorskip("torch._inductor")
    import shutil

    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and none is here")
    assert_same(gradient(engine(example_loss, compile="default")), gradient(engine(example_loss)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and none is here")
def test_a_card_that_is_really_full_halves_the_passes():
    torch.manual_seed(0)
    free, _ = torch.cuda.mem_get_info()
    rows = 64
    wide = max(1, free // 4 // rows * 2)  # one pass over all rows would need twice the free memory

    def hungry(model, batch):
        scratch = torch.empty(len(batch[0]), wide, device="cuda")
        return model(batch[0]).square().mean() + 0 * scratch[:, 0].sum() * 0

    model, said = nn.Linear(3, 2).cuda(), []
    one = Engine(model, hungry, TrainConfig(steps=1, micro_batch_size="auto", precision="fp32"), None, said.append)
    x = torch.randn(rows, 3, device="cuda")
    loss = one.gradient((x,), rows)
    torch.testing.assert_close(loss, model(x).square().mean().detach())
    assert 1 <= len(said) <= 3 and one.micro < rows
