"""The process that runs COLMAP: `python worker.py JOB.json`. It imports nothing of the program, nor anything that reads
pictures: pycolmap hangs or aborts on odd input, and spoils Pillow's writing where both are loaded.

It prints one line, `stage NAME`, before each stage, and leaves the found models as arrays in MODEL-0.npz, MODEL-1.npz.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
FEATURES, QUICK_OCTAVE = 4000, 0
RATIO = 0.8
TRACKS_PER_VIEW = 500  # for where photos were taken; all are triangulated afterwards
SEED = 0


def main(job_file: str) -> None:
    _end_with_parent()
    job = json.loads(Path(job_file).read_text())
    import pycolmap

    pycolmap.logging.minloglevel = 2  # errors
    pycolmap.set_random_seed(SEED)
    folder = Path(job["folder"])
    database, images = folder / "database.db", folder / "images"
    _stage("features")
    _features(pycolmap, database, images, job)
    _stage("matches")
    _matches(pycolmap, database, job)
    photos = sum(len(group["names"]) for group in job["groups"])
    for number, mapper in enumerate(job["mappers"]):
        _stage(f"{mapper} mapping")
        models = _mapped(pycolmap, mapper, database, images, folder / mapper)
        if not models:
            continue
        best = max(models, key=lambda model: model.num_reg_images())
        _save(best, folder / f"MODEL-{number}.npz")
        if best.num_reg_images() == photos:  # no mapper places more
            break


def _stage(name: str) -> None:
    sys.stdout.write(f"stage {name}\n")
    sys.stdout.flush()


def _features(pycolmap: Any, database: Path, images: Path, job: dict[str, Any]) -> None:
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = job["camera_model"]
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu = False
    extraction.num_threads = job["threads"]
    sift = extraction.sift
    sift.max_num_features = FEATURES
    if job["quick"]:
        sift.first_octave = QUICK_OCTAVE
    else:  # viewpoints lie far apart
        sift.estimate_affine_shape = sift.domain_size_pooling = True
    for group in job["groups"]:
        reader.camera_params = group["parameters"]
        names = {"image_names": group["names"], "camera_mode": pycolmap.CameraMode.SINGLE}
        pycolmap.extract_features(database, images, reader_options=reader, extraction_options=extraction, **names)


def _matches(pycolmap: Any, database: Path, job: dict[str, Any]) -> None:
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    matching.num_threads = job["threads"]
    matching.sift.max_ratio = RATIO
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = SEED
    options = {"matching_options": matching, "verification_options": verification}
    if job["sequential"]:
        pycolmap.match_sequential(database, **options)
    else:
        pycolmap.match_exhaustive(database, **options)


def _mapped(pycolmap: Any, mapper: str, database: Path, images: Path, out: Path) -> list[Any]:
    out.mkdir(exist_ok=True)
    if mapper == "global":
        options = pycolmap.GlobalPipelineOptions()
        options.mapper.track_required_tracks_per_view = TRACKS_PER_VIEW
        found = pycolmap.global_mapping(database, images, out, options)
    else:
        options = pycolmap.IncrementalPipelineOptions()
        options.extract_colors = False
        options.min_model_size = 3
        found = pycolmap.incremental_mapping(database, images, out, options)
    return list(found.values())


def _save(model: Any, path: Path) -> None:
    """Poses world -> camera, cameras, points and which photo shows which of them where."""
    import numpy as np

    images = [image for image in model.images.values() if image.has_pose]
    row = {point: number for number, point in enumerate(model.points3D)}
    views, points, places = [], [], []
    for view, image in enumerate(images):
        for place in image.points2D:
            if place.has_point3D():
                views.append(view)
                points.append(row[place.point3D_id])
                places.append(place.xy)
    cameras = [model.cameras[image.camera_id] for image in images]
    poses = [image.cam_from_world() for image in images]
    np.savez(
        path,
        names=np.array([image.name for image in images]),
        rotations=np.array([pose.rotation.matrix() for pose in poses]).reshape(-1, 3, 3),
        shifts=np.array([pose.translation for pose in poses]).reshape(-1, 3),
        cameras=np.array([camera.params for camera in cameras]).reshape(len(images), -1),
        points=np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3),
        errors=np.array([point.error for point in model.points3D.values()]),
        observing=np.array(views, np.int32),
        observed=np.array(points, np.int32),
        places=np.array(places, np.float32).reshape(-1, 2),
    )


def _end_with_parent() -> None:
    """A worker whose parent was killed would go on for minutes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
