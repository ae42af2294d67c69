"""`tidr import-idr`: checkpoints of the released IDR code become runs (NET-11)."""

from __future__ import annotations

from pathlib import Path

from ..capture.formats.catalogue import find_capture
from ..capture.formats.idr import poses_file
from ..errors import CannotCreate, InputMissing, UsageError
from ..runs.folder import RunFolder
from ..types import CaptureReading

STAND_IN_VIEWS, STAND_IN_DISTANCE, STAND_IN_SIZE = 12, 3.0, 512  # cameras of a run without a capture
STAND_IN = "no-capture"  # its folder of photos, which is not there


def import_idr(model_file: Path, cameras_file: Path | None = None, *, out: Path, capture: Path | None = None) -> Path:
    """Write a run of preset `idr` with the networks of ModelParameters/*.pth; `mesh`, `render`, `eval`, `swap` take it.

    Widths, depths, frequencies and mode are read off the tensors' shapes. cameras_file: CamParameters/*.pth, trained
    poses; they need `capture` for the intrinsics, and live in the normalised frame of its cameras_linear_init.npz
    where that is there (the released code trains from it). Without `capture` the mesh stays in the normalised frame,
    and a ring of cameras stands in for the photos'. Returns the run.

    Raises InputMissing, BadInput, UsageError, CannotCreate, WriteFailed.
    """
    if cameras_file is not None and capture is None:
        todo = "add --capture FOLDER"
        raise UsageError("trained cameras without photos", why="their intrinsics are missing", todo=todo)
    for file in (model_file, cameras_file):
        if file is not None and not file.is_file():
            raise InputMissing("no such file", where=file, todo="check the path")
    if capture is not None:
        poses = poses_file(capture, None, train=cameras_file is not None)
        find_capture(capture, CaptureReading(cameras_file=poses))
    folder = RunFolder(out)
    if folder.exists:
        raise CannotCreate("there is a run already", where=out, todo="choose another --out")
    import numpy as np

    from .. import runtime
    from ..cameras.paths import ring
    from ..methods.idr.released import read_released, read_trained_capture
    from ..runs.checkpoint import save_checkpoint
    from ..runs.contents import Course, Frame, Origin, metadata
    from ..state import prefixed

    runtime.init("cpu")
    config, parameters, epoch = read_released(model_file, trained_cameras=cameras_file is not None)
    if capture is None:
        cameras = ring(frames=STAND_IN_VIEWS, distance=STAND_IN_DISTANCE, size=STAND_IN_SIZE)
        frame, photos = Frame(cameras, np.eye(4)), out / STAND_IN
    else:
        read = read_trained_capture(capture, cameras_file)
        frame, photos = Frame(read.cameras, read.T_world_normalised), capture
    folder.create()
    with folder.lock():
        # Without names of photos no fit goes on with it, for it has no optimiser's state.
        about = metadata(config, Origin(photos.resolve(), CaptureReading()), Course())
        tensors = {**prefixed("model", parameters), **frame.tensors()}
        save_checkpoint(folder.checkpoints, epoch, tensors, about)
        folder.write_config(config)
    return out
