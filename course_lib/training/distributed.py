"""Several processes, on PyTorch's own engine: torchrun starts them, DDP copies the model, FSDP2 splits it.

The program stays the same; only its start differs:

    one GPU      course train vit --steps 1000
    eight GPUs   torchrun --nproc-per-node 8 -m course_lib.cli train vit --steps 1000            (DDP)
                 torchrun --nproc-per-node 8 -m course_lib.cli train vit --steps 1000 --shard    (FSDP2)
    two nodes    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint FIRST_NODE:29500 \
                     -m course_lib.cli train vit --steps 1000 --run-dir /on/a/disk/both/see --resume
    a worker that may die: give torchrun --max-restarts 3 and the program --run-dir DIR --resume; the agent starts all
    workers anew and they go on from the last checkpoint, with DDP and FSDP2, with --standalone, --master-port and
    --rdzv-backend c10d. On several nodes use c10d and set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1: in the store that torch
    2.13 keeps over the restarts the new workers would find the addresses of the dead ones.
    Slurm        #SBATCH --nodes=2 --ntasks-per-node=1 --gpus-per-node=8 --cpus-per-task=64
                 first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
                 srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node 8 --rdzv-id "$SLURM_JOB_ID" \
                     --rdzv-backend c10d --rdzv-endpoint "$first:29500" -m course_lib.cli train vit --steps 1000

Without a GPU the processes talk through gloo, with GPUs through NCCL. Set OMP_NUM_THREADS so that processes times
threads does not exceed the cores. In your own program:

    with process_group() as runtime:
        fit(model.to(runtime.device), data, loss, config)

Li et al., 2020, arXiv:2006.15704 (DDP); Rajbhandari et al., 2019, arXiv:1910.02054 (ZeRO, the idea behind FSDP).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.training.blocks import repeated_blocks
from course_lib.training.device import Runtime, pick_device


class RefusedElsewhere(RuntimeError):
    """Another process of this run cannot go on."""


class World(NamedTuple):
    """This process's number and the number of processes; (0, 1) outside a process group."""

    rank: int
    size: int


def world() -> World:
    """Where this process stands."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World(0, 1)


@contextmanager
def process_group(device: str = "auto") -> Iterator[Runtime]:
    """Join the processes that torchrun started, leave them at the end; started by hand it only picks the device."""
    runtime = pick_device(device)
    if "WORLD_SIZE" not in os.environ:
        yield runtime
        return
    on_card = runtime.device.type == "cuda"
    if on_card:
        torch.cuda.set_device(runtime.device)
    store, rank, size = next(dist.rendezvous("env://"))
    backend, card = ("nccl", runtime.device) if on_card else ("gloo", None)
    dist.init_process_group(backend, store=_of_this_life(store), rank=rank, world_size=size, device_id=card)
    try:
        yield runtime
    finally:
        dist.destroy_process_group()


def _of_this_life(store: dist.Store) -> dist.Store:
    """A part of torchrun's store that no earlier life of the workers has written in.

    torchrun keeps one store over all restarts, and torch 2.13 no longer sets their entries apart: new workers would
    find the addresses of dead ones. Nodes may count restarts differently: several must take a new store for each life.
    """
    if os.environ.get("GROUP_WORLD_SIZE", "1") != "1":
        return store
    return dist.PrefixStore(f"life {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def parallel(model: nn.Module, shard: bool, dtype: torch.dtype) -> nn.Module:
    """The module to call in a step: the model itself, a DDP copy around it, or the model with its weights split.

    DDP averages gradients over the processes while the backward pass runs. FSDP2 changes `model` in place: its
    parameters become DTensors of which this process holds a part. The loss must call the returned module itself,
    not a part of it, since both engines start their work in its forward.
    """
    if shard:
        return _sharded(model, dtype)
    if world().size > 1:
        return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    return model


def _sharded(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh  # with fsdp: a second that unsharded runs need not pay
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    if world().size == 1 and not dist.is_initialized():
        raise ValueError("shard=True needs processes to share the weights: start with torchrun, inside process_group()")
    for name, parameter in model.named_parameters():
        if parameter.dim() == 0:
            raise ValueError(f"FSDP2 cannot split {name}, which has no axis; give it the shape (1,)")
    for tensor in model.state_dict().values():  # DDP copies rank 0's weights by itself, FSDP2 does not
        dist.broadcast(tensor, src=0)
    mesh = init_device_mesh(next(model.parameters()).device.type, (world().size,))
    mixed = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    policy = mixed if dtype != torch.float32 else MixedPrecisionPolicy()
    for block in repeated_blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    return fully_shard(model, mesh=mesh, mp_policy=policy)


def split_again(model: nn.Module) -> None:
    """FSDP2 leaves the root's weights whole after a forward that no backward follows; put them back into parts."""
    if hasattr(model, "reshard"):
        model.reshard()


def total(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without gradient."""
    if world().size > 1:
        dist.all_reduce(value)
    return value


def agreed(number: Callable[[], int], device: torch.device) -> int:
    """What `number` gives in process 0, at least 0, in every process; an error there is one everywhere.

    Without that the others would wait for a process that has given up.
    """
    if world().size == 1:
        return number()
    found, failure = -1, None
    if world().rank == 0:
        try:
            found = number()
        except Exception as error:
            failure = error
    value = torch.tensor(found, device=device)
    dist.broadcast(value, src=0)
    if failure is not None:
        raise failure
    if value < 0:
        raise RefusedElsewhere("process 0 was refused and says why")
    return int(value)


def barrier() -> None:
    """Wait until every process is here."""
    if world().size > 1:
        dist.barrier()


class Gathered(NamedTuple):
    """Rows of all processes, and where this process's own stand among them."""

    rows: Float[Tensor, "N ..."]
    start: int
    """Number of the first own row: `start + torch.arange(B)` are the targets of a contrastive loss."""


def gather(rows: Float[Tensor, "B ..."], *, unequal: bool = False) -> Gathered:
    """The rows of all processes, in rank order, with gradients: what a contrastive loss needs for its negatives.

    Backward adds up the gradient that every process has for these rows. Let each process average over its own B rows
    against all N (Radford et al., 2021, arXiv:2103.00020); the processes' mean is then the loss of the whole batch.
    unequal: B differs by process, as when batch_size does not divide; sizes are then exchanged first, which makes the
    device wait. In a single process the rows come back as they are.
    """
    rank, size = world()
    if size == 1:
        return Gathered(rows, 0)
    # PyTorch's own gather with a backward; torch.distributed.nn.functional.all_gather points here as its successor
    from torch.distributed._functional_collectives import all_gather_single_autograd

    counts = _counts(rows) if unequal else [len(rows)] * size
    padding = rows.new_zeros(max(counts) - len(rows), *rows.shape[1:])
    padded = torch.cat([rows, padding]) if unequal else rows.contiguous()
    pieces = all_gather_single_autograd(padded, 0, dist.group.WORLD).split(max(counts))
    together = torch.cat([piece[:count] for piece, count in zip(pieces, counts, strict=True)])
    return Gathered(together, sum(counts[:rank]))


def _counts(rows: Tensor) -> list[int]:
    counts = torch.zeros(world().size, dtype=torch.int64, device=rows.device)
    counts[world().rank] = len(rows)
    return total(counts).tolist()
