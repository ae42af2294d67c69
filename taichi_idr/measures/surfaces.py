"""How near a mesh is to the true one: exact distances from uniform samples of each to the surface of the
other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..meshes.mesh import Mesh, face_vectors, unit_vectors
from ..ops.closest_triangle import closest_triangle

SAMPLES = 200_000
SEED = 0
FSCORE_SHARE = 0.01  # of the true mesh's box diagonal


@dataclass(frozen=True)
class MeshDistance:
    """World units. accuracy: mean distance from the mesh to the truth; completeness: back; chamfer: their
    mean.

    fscore: harmonic mean of the shares nearer than FSCORE_SHARE of the true box's diagonal. normal_error_deg:
    mean angle between the normals at a sample and at the point nearest to it, both ways.
    """

    accuracy: float
    completeness: float
    chamfer: float
    fscore: float
    normal_error_deg: float


def mesh_distance(mesh: Mesh, truth: Mesh, *, samples: int = SAMPLES, seed: int = SEED) -> MeshDistance:
    """Compare `mesh` with `truth`, both in one frame and unit."""
    there, there_angle = _one_way(mesh, truth, samples, seed)
    back, back_angle = _one_way(truth, mesh, samples, seed)
    threshold = FSCORE_SHARE * float(np.linalg.norm(np.ptp(truth.vertices, axis=0)))
    precision, recall = float(np.mean(there < threshold)), float(np.mean(back < threshold))
    accuracy, completeness = float(there.mean()), float(back.mean())
    return MeshDistance(
        accuracy=accuracy,
        completeness=completeness,
        chamfer=(accuracy + completeness) / 2,
        fscore=2 * precision * recall / max(precision + recall, 1e-12),
        normal_error_deg=float(there_angle.mean() + back_angle.mean()) / 2,
    )


def sample_surface(mesh: Mesh, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) uniform in area and the face (count,) of each."""
    areas = np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1)
    face = generator.choice(len(areas), size=count, p=areas / areas.sum())
    root, along = np.sqrt(generator.random(count)), generator.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)
    return np.einsum("nk,nki->ni", weights, mesh.vertices[mesh.faces[face]]), face


def _one_way(mesh: Mesh, target: Mesh, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) and angle between normals (N,) in degrees, from samples of `mesh` to `target`."""
    points, face = sample_surface(mesh, samples, np.random.default_rng(seed))
    corners = torch.from_numpy(target.vertices[target.faces])
    distance, other = (part.cpu().numpy() for part in closest_triangle(torch.from_numpy(points), corners))
    here, there = _unit_normals(mesh, face), _unit_normals(target, other)
    cosine = np.clip(np.einsum("ni,ni->n", here, there), -1, 1)
    return distance.astype(np.float64), np.degrees(np.arccos(cosine))


def _unit_normals(mesh: Mesh, faces: np.ndarray) -> np.ndarray:
    return unit_vectors(face_vectors(mesh.vertices, mesh.faces[faces]))
