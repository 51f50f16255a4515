"""One training run on several processes: each encodes its part of every batch, and all have the same loss.

The features of the parts are gathered before the method sees them, so that a loss over the batch is over the whole
batch, as on one process. Only batch normalisation tells the difference: on CPU it is over a part. Process 0 is the
caller's own; the others are started and ended by it, and talk to it over the loopback interface.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dvta.errors import OptionError
from dvta.skeleton.splits import Samples
from dvta.training import derived_seed

STORE, WORK = "store", "work.pkl"  # in the folder of a run
PATIENCE = datetime.timedelta(hours=6)  # the others wait while process 0 evaluates


@dataclasses.dataclass(frozen=True)
class Part:
    """Process ``rank`` of ``workers``."""

    rank: int
    workers: int

    def of(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch; the whole of one that is too small to be parted."""
        return batch.tensor_split(self.workers)[self.rank] if self._splits(len(batch)) else batch

    def gather(self, x: Tensor, batch: int) -> Tensor:
        """Return the rows of all parts of a batch of that size, in its order; the gradient flows into the own ones."""
        return _Gather.apply(x, self, batch) if self._splits(batch) else x  # type: ignore[no-any-return,no-untyped-call]

    @contextlib.contextmanager
    def own_noise(self, *seed: object) -> Iterator[None]:
        """Draw the noise of a part apart, so that what all draw afterwards is the same on all."""
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(*seed, "part", self.rank))
            yield

    def _splits(self, size: int) -> bool:
        return size >= 2 * self.workers


class _Gather(torch.autograd.Function):
    """All-gather; every process has the same loss, so that its own rows' gradient is there without asking others."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: Part, batch: int) -> Tensor:
        sizes = [len(p) for p in torch.empty(batch).tensor_split(part.workers)]
        padded = x.new_zeros(max(sizes), *x.shape[1:])
        padded[: len(x)] = x
        found = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(found, padded)
        ctx.part, ctx.sizes = part, sizes
        return torch.cat([rows[:size] for rows, size in zip(found, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own = gradients[0].split(ctx.sizes)[ctx.part.rank]
        # gradients of parameters are averaged over the processes, and this is a sum over parts
        return own * ctx.part.workers, None, None


class Others:
    """The other processes of a run, started with the work they share in; they end with this object or process.

    Args:
        work: makes what is pickled, given a folder that is there until the end: it is called with the
            :class:`Part` and its device, and trains along, epoch by epoch.
        device: of process 0; on ``cuda``, process r has GPU r.

    Raises:
        OptionError: there are fewer GPUs than processes.
    """

    def __init__(
        self, work: Callable[[Path], Callable[[Part, str], None]], workers: int, device: str
    ) -> None:
        if device.startswith("cuda") and torch.cuda.device_count() < workers:
            raise OptionError(
                f"workers: {workers} need a GPU each, here are {torch.cuda.device_count()}; allowed: fewer"
            )
        self.part = Part(0, workers)
        self._processes: list[subprocess.Popen[bytes]] = []
        # nobody else can read it
        folder = Path(tempfile.mkdtemp(prefix="dvta-parallel-"))
        self.close = weakref.finalize(self, _end, self._processes, folder)
        try:
            (folder / WORK).write_bytes(pickle.dumps(work(folder)))
            self._start(folder, device)
            os.environ.update(_loopback())
            _join(folder, self.part, device)
        except BaseException:
            self.close()
            raise

    def _start(self, folder: Path, device: str) -> None:
        environment = {**os.environ, **_loopback(), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        threads = str(torch.get_num_threads())
        for rank in range(1, self.part.workers):
            arguments = (str(folder), str(rank), str(self.part.workers), device, threads)
            command = [sys.executable, "-m", "dvta.parallel", *arguments]
            self._processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))

    def lost(self) -> list[int]:
        """Return the numbers of processes that have ended."""
        return [rank for rank, process in enumerate(self._processes, 1) if process.poll() is not None]


def distributed(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a module whose gradients are averaged over the processes; on GPUs, batch normalisation is over all parts."""
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    # a frozen encoder and a method's phases leave parameters without a gradient
    return DistributedDataParallel(
        model, device_ids=[device] if device.type == "cuda" else None, find_unused_parameters=True
    )


def shareable(samples: Samples, folder: Path) -> Samples:
    """Return samples that another process of this machine can open: their numbers lie in a file."""
    positions = samples.positions
    if isinstance(positions, np.memmap) and positions.filename is not None:
        path = Path(os.fspath(positions.filename))
    else:
        path = folder / "positions.npy"
        np.save(path, positions)
    return dataclasses.replace(samples, positions=np.empty(0), path=path)


def opened(samples: Samples) -> Samples:
    """Open what :func:`shareable` returned."""
    return dataclasses.replace(samples, positions=np.load(samples.path, mmap_mode="r", allow_pickle=False))


def _join(folder: Path, part: Part, device: str) -> None:
    dist.init_process_group(
        "nccl" if device.startswith("cuda") else "gloo",
        init_method=f"file://{folder / STORE}",
        rank=part.rank,
        world_size=part.workers,
        timeout=PATIENCE,
    )


def _loopback() -> dict[str, str]:
    if not sys.platform.startswith("linux"):
        return {}
    return {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


def _end(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    for process in processes:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
    if processes and dist.is_initialized():
        dist.destroy_process_group()
    shutil.rmtree(folder, ignore_errors=True)


def _main(folder: Path, part: Part, device: str, threads: int) -> None:
    """Be one of the other processes."""

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if device.startswith("cuda"):
        device = f"cuda:{part.rank}"
        torch.cuda.set_device(part.rank)
    # written by process 0 into a folder of its own
    work = pickle.loads((folder / WORK).read_bytes())
    _join(folder, part, device)
    work(part, device)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Part(int(sys.argv[2]), int(sys.argv[3])), sys.argv[4], int(sys.argv[5]))
