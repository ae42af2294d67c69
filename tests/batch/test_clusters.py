"""How a machine is divided, who can be reached, and what Slurm is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from taichi_idr.batch.clusters import SlurmOptions, cluster_at, local_cluster, share_of, slurm_cluster, slurm_script
from taichi_idr.errors import Unavailable, UsageError

pytest.importorskip("distributed")

SBATCH = """#!/bin/sh
cp "$1" "$0.$$.sh"
setsid sh "$0.$$.sh" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -TERM -"$1"
"""


@pytest.mark.parametrize(
    ("jobs", "gpus", "workers", "threads", "expected"),
    [
        (12, (), None, None, (4, 2)),
        (3, (), None, None, (3, 2)),
        (12, (), 2, None, (2, 4)),
        (12, (), None, 1, (8, 1)),
        (12, (), 2, 1, (2, 1)),
        (12, (), 99, None, (12, 1)),
        (12, ("0", "1"), None, None, (2, 4)),
    ],
)
def test_a_machine_of_eight_cores_is_divided(jobs, gpus, workers, threads, expected) -> None:
    share = share_of(jobs, 8, 24 * 10**9, gpus, workers, threads)
    assert (share.workers, share.cores) == expected
    assert share.memory == 24 * 10**9 // share.workers


def test_commands_are_told_their_share() -> None:
    share = share_of(4, 8, 8 * 10**9, (), 4, 2)
    names = ("TIDR_CORES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert share.environment == {**dict.fromkeys(names, "2"), "TIDR_MEMORY": "2000000000"}


def test_local_workers_listen_on_this_machine_alone_and_end_with_the_cluster() -> None:
    share = share_of(2, 2, None, ("7", "9"), None, None)
    me = psutil.Process()
    with local_cluster(share) as client:
        children = me.children(recursive=True)
        processes = [me, *children]
        listening = [c.laddr.ip for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
        assert len(listening) >= 3
        assert set(listening) == {"127.0.0.1"}
        assert client.scheduler.address.startswith("tls://")
        devices = client.run(lambda: __import__("os").environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(devices.values()) == ["7", "9"]
        ignored = client.run(lambda: __import__("signal").getsignal(2) == __import__("signal").SIG_IGN)
        assert set(ignored.values()) == {True}
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive


class TestElsewhere:
    def test_nobody_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("taichi_idr.batch.clusters.REACH", 0.5)
        with pytest.raises(Unavailable, match="no scheduler"), cluster_at("tcp://127.0.0.1:9"):
            pass
        with pytest.raises(UsageError, match="no address"), cluster_at("tcp://:::"):
            pass

    def test_workers_of_somebody_else_are_used_one_job_each(self, tmp_path: Path) -> None:
        from distributed import LocalCluster

        options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
        options |= {"n_workers": 1, "processes": False, "protocol": "tcp://"}
        with (
            LocalCluster(threads_per_worker=1, **options) as cluster,
            cluster_at(cluster.scheduler_address) as client,
        ):
            assert client.submit(lambda: 3).result() == 3
        with (
            LocalCluster(threads_per_worker=2, **options) as cluster,
            pytest.raises(UsageError, match="several threads"),
            cluster_at(cluster.scheduler_address),
        ):
            pass


class TestSlurm:
    """By dask-jobqueue's own script, as its own tests look at it; nothing is submitted."""

    OPTIONS = "cores=8 memory=32GB walltime=08:00:00 queue=gpu account=museum directive=--gres=gpu:1 directive='-C x y'"

    def test_the_script(self, tmp_path: Path) -> None:
        lines = slurm_script(SlurmOptions.parsed(self.OPTIONS), tmp_path).splitlines()
        assert lines[0].startswith("#!")
        directives = {line for line in lines if line.startswith("#SBATCH")}
        assert directives >= {
            "#SBATCH -J tidr-batch",
            "#SBATCH -p gpu",
            "#SBATCH -A museum",
            "#SBATCH -n 1",
            "#SBATCH --cpus-per-task=8",
            "#SBATCH --mem=30G",
            "#SBATCH -t 08:00:00",
            "#SBATCH --gres=gpu:1",
            "#SBATCH -C x y",
        }
        worker = lines[-1]
        assert worker.startswith(f"{sys.executable} -m distributed.cli.dask_worker tls://")
        assert "--nthreads 1 " in worker
        assert "--tls-key " in worker
        assert list(tmp_path.iterdir()) == []  # its keys are gone

    def test_no_slurm_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        options = SlurmOptions.parsed("cores=1 memory=1GB")
        with pytest.raises(Unavailable, match="no Slurm here"), slurm_cluster(options, 1, tmp_path):
            pass

    def test_workers_of_a_stand_in_for_slurm(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """sbatch and scancel that start and kill processes here: what is submitted becomes a worker."""
        for name, script in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
            (tmp_path / name).write_text(script)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        (tmp_path / "shared").mkdir()
        options = SlurmOptions.parsed("cores=1 memory=1GB interface=lo")
        with slurm_cluster(options, 1, tmp_path / "shared") as client:
            number = client.submit(lambda: __import__("os").getppid()).result(timeout=60)
            assert psutil.pid_exists(number)
            assert client.scheduler.address.startswith("tls://127.0.0.1")
            (keys,) = (path for path in (tmp_path / "shared").iterdir() if (path / "tls_ca_file").exists())
            assert keys.stat().st_mode & 0o077 == 0
        assert not keys.exists()

    @pytest.mark.parametrize("text", ["cores=8", "memory=8GB", "cores=x memory=8GB", "core=8 memory=8GB", "cores 'x"])
    def test_what_can_be_wrong(self, text: str) -> None:
        with pytest.raises(UsageError, match="--slurm"):
            SlurmOptions.parsed(text)


def test_options_of_slurm_are_read_without_dask() -> None:
    code = "import sys; from taichi_idr.batch.clusters import SlurmOptions; SlurmOptions.parsed('cores=1 memory=1GB'); "
    code += "print([name for name in ('distributed', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
