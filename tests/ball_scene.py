"""A run of a ball on disk, as a viewer reads it: checkpoint, coloured mesh, previews, poses that were trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from ball_run import HEIGHT, RADIUS, WIDTH, BallRun, T_world_normalised, make_ball_run
from PIL import Image

from taichi_idr.cameras.rotations import quaternions_from_rotations, rotation_matrices
from taichi_idr.meshes.mesh import Extraction, Mesh, make_mesh, transformed
from taichi_idr.meshes.writing import write_mesh
from taichi_idr.methods.fast.settings import FastConfig
from taichi_idr.poses.history import HISTORY_FILE, PoseHistory, write_history
from taichi_idr.runs.checkpoint import save_checkpoint
from taichi_idr.runs.contents import Course, Frame, Origin, metadata
from taichi_idr.runs.folder import RunFolder
from taichi_idr.types import Cameras, CaptureReading

STEP = 7


def make_ball_scene(base: Path, *, with_mesh: bool = True) -> BallRun:
    """As `make_ball_run`, with a checkpoint of STEP, which is all that it has of a model, and two previews."""
    run = make_ball_run(base)
    folder = RunFolder(run.folder)
    (folder.checkpoints / "00000001.tidr").unlink()
    save(run, STEP)
    if with_mesh:
        folder.mesh.mkdir()
        mesh = replace(transformed(ball(), T_world_normalised()), extraction=Extraction(64, STEP))
        write_mesh(folder.mesh / "mesh.ply", mesh)
    (folder.renders / "preview").mkdir(parents=True)
    for step, view in ((0, 2), (STEP, 3)):
        Image.new("RGB", (3 * WIDTH, HEIGHT)).save(folder.renders / "preview" / f"{step:08d}_view{view:03d}.png")
    return run


def save(run: BallRun, step: int) -> Path:
    """A checkpoint with the run's cameras."""
    cameras = run.loaded.cameras
    names = tuple(f"{view:03d}" for view in range(len(cameras)))
    origin = Origin(run.capture, CaptureReading(), names, ((HEIGHT, WIDTH),) * len(cameras))
    tensors = Frame(cameras, T_world_normalised()).tensors()
    return save_checkpoint(RunFolder(run.folder).checkpoints, step, tensors, metadata(FastConfig(), origin, Course()))


def ball(subdivisions: int = 3) -> Mesh:
    """Of RADIUS around zero, coloured by where its vertices are."""
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=RADIUS)
    mesh = make_mesh(np.asarray(sphere.vertices, np.float64), np.asarray(sphere.faces, np.int32))
    return replace(mesh, colours=np.round((mesh.vertices / RADIUS / 2 + 0.5) * 255).astype(np.uint8))


def write_start(run: BallRun, turn: torch.Tensor, shift: torch.Tensor, nudge: float) -> None:
    """A history whose start is the run's cameras after a rotation and a shift of them all, the first one moved on."""
    now = run.loaded.cameras
    quaternions = quaternions_from_rotations(turn @ rotation_matrices(now.quaternions))
    centres = now.centres @ turn.T + shift
    centres[0, 0] += nudge
    start = Cameras(quaternions, centres, now.intrinsics)
    rows = [torch.stack([getattr(c, name) for c in (start, now)]) for name in ("quaternions", "centres")]
    folder = RunFolder(run.folder).cameras
    folder.mkdir()
    write_history(folder / HISTORY_FILE, PoseHistory(np.array([0, STEP]), *rows))
