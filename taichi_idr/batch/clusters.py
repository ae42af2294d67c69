"""Where jobs run: workers on this machine, those of a cluster that is there, or jobs of Slurm.

A worker takes one job at a time and starts its commands; it computes nothing itself. What is said between the processes
that are started here is encrypted: whoever can talk to a scheduler can run what he likes.
"""

from __future__ import annotations

import importlib.util
import logging
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable, UsageError
from ..files.writing import scratch_folder
from ..machine import SHARED_CORES, SHARED_MEMORY

if TYPE_CHECKING:
    from dask_jobqueue.slurm import SLURMCluster
    from distributed import Client, Security, WorkerPlugin

HERE = "127.0.0.1"
CORES_OF_A_JOB = 2  # where nobody says another number
REACH = 30.0  # seconds for a scheduler to answer
_SLURM = ("cores", "memory", "walltime", "queue", "account", "interface", "directive", "prologue")
_REPEATED = {"directive": "job_extra_directives", "prologue": "job_script_prologue"}
_BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Share:
    """What each of `workers` may take: `cores`, `memory` in bytes (None: nobody knows), one of `gpus` if there are any,
    as CUDA_VISIBLE_DEVICES names them."""

    workers: int
    cores: int
    memory: int | None = None
    gpus: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Of a job's commands."""
        return environment_of(self.cores, self.memory)


@dataclass(frozen=True)
class SlurmOptions:
    """Of one Slurm job, which is one worker: `cores` of them, and the rest as dask-jobqueue names it."""

    cores: int
    arguments: Mapping[str, Any]

    @classmethod
    def parsed(cls, text: str) -> SlurmOptions:
        """`cores=8 memory=32GB walltime=08:00:00 queue=gpu directive=--gres=gpu:1`. Raises UsageError."""
        found: dict[str, Any] = {}
        for word in _words(text):
            key, equals, value = word.partition("=")
            if key not in _SLURM or not equals or not value:
                why = f"{word!r} is not KEY=VALUE"
                raise UsageError("bad value", where="--slurm", why=why, todo=f"KEY is one of {', '.join(_SLURM)}")
            if key in _REPEATED:
                found.setdefault(_REPEATED[key], []).append(value)
            else:
                found[key] = value
        cores = found.pop("cores", "")
        if not cores.isdecimal() or int(cores) < 1 or "memory" not in found:
            raise UsageError("half a Slurm job", where="--slurm", todo="say cores=N and memory=SIZE, such as 32GB")
        return cls(int(cores), found)


def environment_of(cores: int, memory: int | None = None) -> dict[str, str]:
    """What holds a command to so many cores and bytes: Taichi's, torch's and the threads of BLAS."""
    limits = {SHARED_CORES: str(cores), **dict.fromkeys(_BLAS, str(cores))}
    return limits if memory is None else {**limits, SHARED_MEMORY: str(memory)}


def share_of(
    jobs: int, cores: int, memory: int | None, gpus: tuple[str, ...], workers: int | None, threads: int | None
) -> Share:
    """How a machine is divided among workers, never more than there are jobs; one for each GPU, or each group of cores.

    workers, threads: what the user wants of them.
    """
    usual = len(gpus) or cores // (threads or CORES_OF_A_JOB)
    count = max(1, min(jobs, workers or usual))
    return Share(count, threads or max(1, cores // count), memory and memory // count, gpus)


def check_installed(*, slurm: bool = False) -> None:
    """Raises Unavailable."""
    for module in ("distributed", *(["dask_jobqueue"] if slurm else [])):
        if importlib.util.find_spec(module) is None:
            raise Unavailable(f"{module} is not installed", where="tidr batch", todo="pip install 'taichi-idr[batch]'")


@contextmanager
def local_cluster(share: Share) -> Iterator[Client]:
    """Workers on this machine, that listen on 127.0.0.1 alone and end with this process."""
    from distributed import Client, Nanny, Scheduler, Security, SpecCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a worker that was killed is told by its job
    security = Security.temporary()
    common = {"host": HERE, "protocol": "tls://", "security": security}
    common |= {"dashboard": False, "dashboard_address": f"{HERE}:0"}
    quiet = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL}  # commands hold themselves to theirs
    workers = {
        number: {"cls": Nanny, "options": {**common, **quiet, "env": _device(share, number)}}
        for number in range(share.workers)
    }
    scheduler = {"cls": Scheduler, "options": common}
    with SpecCluster(workers=workers, scheduler=scheduler, security=security) as cluster, Client(cluster) as client:
        client.register_plugin(_deaf())
        yield client


@contextmanager
def cluster_at(address: str) -> Iterator[Client]:
    """Workers that somebody else started. Raises UsageError for no address or workers that take several jobs,
    Unavailable where nobody answers."""
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=REACH)
    except ValueError as error:
        raise UsageError("no address of a scheduler", where=f"--scheduler {address}", why=str(error)) from error
    except OSError as error:
        why = f"nobody answers in {REACH:.0f} s"
        todo = "start one: dask scheduler, and dask worker ADDRESS --nthreads 1 on each machine"
        raise Unavailable("no scheduler", where=f"--scheduler {address}", why=why, todo=todo) from error
    with client:
        counts: Any = client.nthreads()
        wide = [worker for worker, threads in counts.items() if threads > 1]
        if wide:
            why = f"{len(wide)} of its workers would take several jobs at once"
            todo = "start them with --nthreads 1"
            raise UsageError("workers with several threads", where=f"--scheduler {address}", why=why, todo=todo)
        yield client


@contextmanager
def slurm_cluster(options: SlurmOptions, jobs: int, folder: Path) -> Iterator[Client]:
    """As many Slurm jobs, each a worker. folder: on storage that they share; gets their keys while they run, and what
    they print. Raises UsageError, Unavailable where there is no Slurm."""
    from distributed import Client

    if shutil.which("sbatch") is None:
        todo = "call it where sbatch is installed, or look at the script with --slurm-dry-run"
        raise Unavailable("no Slurm here", where="--slurm", why="there is no program sbatch", todo=todo)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _slurm(options, folder) as cluster:
        cluster.scale(jobs=jobs)
        with Client(cluster) as client:
            yield client


def slurm_script(options: SlurmOptions, folder: Path) -> str:
    """What would be given to sbatch, but for the scheduler's address and keys, which are new each time."""
    with _slurm(options, folder) as cluster:
        return cluster.job_script()


@contextmanager
def _slurm(options: SlurmOptions, folder: Path) -> Iterator[SLURMCluster]:
    from dask_jobqueue.slurm import SLURMCluster

    with scratch_folder(folder) as keys:
        arguments = {"processes": 1, "cores": 1, "job_cpu": options.cores, "log_directory": str(folder)}
        arguments |= {"security": _keys_in(keys), "job_name": "tidr-batch", **options.arguments}
        try:
            cluster = SLURMCluster(
                scheduler_options={"dashboard": False, "dashboard_address": f"{HERE}:0"}, **arguments
            )
        except ValueError as error:
            raise UsageError("bad value", where="--slurm", why=str(error)) from error
        with cluster:
            yield cluster


def _keys_in(folder: Path) -> Security:
    """New keys, as files for workers on other machines."""
    from distributed import Security

    new: Any = Security.temporary()
    names = [f"tls_{role}_{kind}" for role in ("scheduler", "worker", "client") for kind in ("key", "cert")]
    for name in (*names, "tls_ca_file"):
        file = folder / name  # in a folder for this user alone
        file.write_text(getattr(new, name))
        setattr(new, name, str(file))
    return new


def _deaf() -> WorkerPlugin:
    """Ctrl-C in a terminal reaches workers too, also those that come later, and is for `tidr batch` to handle."""
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):
        name = "tidr-batch"

        def setup(self, worker: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


def _device(share: Share, number: int) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": share.gpus[number % len(share.gpus)]} if share.gpus else {}


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError("bad value", where="--slurm", why=str(error)) from error
