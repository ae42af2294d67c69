"""Tangent space of a textured mesh: in which normal maps are written, as glTF 2.0 has it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..meshes.mesh import Mesh, unit_vectors
from ..meshes.texture import Atlas
from .texels import Texels


def tangents_of(mesh: Mesh, atlas: Atlas) -> np.ndarray:
    """(P, 4) float32 at the places of an atlas: the unit direction across the vertex normal in which u grows, and 1 or
    -1: the bitangent is that times cross(normal, tangent), and v grows upward along it."""
    corners = mesh.vertices[mesh.faces]
    uv = atlas.places[atlas.corners] * (1, -1)  # v upward
    (e1, e2), (d1, d2) = ((x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) for x in (corners, uv))
    area = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    side = np.sign(area)[:, None]
    along_u = side * (e1 * d2[:, 1:] - e2 * d1[:, 1:])
    total, sides = np.zeros((len(atlas.places), 3)), np.zeros(len(atlas.places))
    for k in range(3):
        np.add.at(total, atlas.corners[:, k], unit_vectors(along_u))
        np.add.at(sides, atlas.corners[:, k], side[:, 0])
    normal = mesh.normals[atlas.vertex].astype(np.float64)
    across = total - np.einsum("pi,pi->p", total, normal)[:, None] * normal
    lost = np.linalg.norm(across, axis=1) < 1e-6
    across[lost] = np.cross(normal[lost], np.eye(3)[np.abs(normal[lost]).argmin(axis=1)])
    return np.concatenate([unit_vectors(across), np.where(sides < 0, -1.0, 1.0)[:, None]], axis=1).astype(np.float32)


def in_tangent_space(normals: Tensor, texels: Texels, tangents: np.ndarray, atlas: Atlas) -> Tensor:
    """Unit normals (N, 3) of the normalised frame, at texels, as a shader that mixes the corners' vectors gets them
    back."""
    table = torch.from_numpy(tangents).to(normals)
    rows = table[torch.from_numpy(atlas.corners).to(normals.device).long()[texels.face]]
    tangent = normalize((texels.shares[..., None] * rows[..., :3]).sum(dim=1), dim=1)
    bitangent = torch.linalg.cross(texels.normals, tangent) * rows[:, 0, 3:]
    axes = torch.stack([tangent, bitangent, texels.normals], dim=2)  # columns
    found = torch.linalg.solve_ex(axes, normals[..., None])[0][..., 0]
    found = torch.where(found.isfinite().all(dim=1, keepdim=True), found, found.new_tensor([0.0, 0.0, 1.0]))
    found[:, 2].clamp_(min=0)
    return normalize(found, dim=1)
