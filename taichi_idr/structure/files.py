"""Which files are plain photos, and whether they are enough; which is a video: before anything heavy is imported."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..capture.fingerprints import fingerprint
from ..capture.formats.catalogue import is_recognised
from ..capture.formats.source import SUFFIXES, folder_of_photos, list_images, listed
from ..errors import BadInput, InputMissing

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
FEWEST = 8  # photos: of fewer no object is seen from all around


def plain_photos(folder: Path) -> list[Path]:
    """Raises InputMissing: no folder, no photos; BadInput: a file that is not read, too few photos, some twice."""
    if not folder.is_dir():
        why = "it is a file" if folder.exists() else "there is no such folder"
        raise InputMissing("no photos", where=folder, why=why, todo="name a folder of photos")
    files = list_images(folder_of_photos(folder), "photo")
    if not files:
        raise InputMissing("no photos", where=folder, why="no image is in it", todo="put JPEG or PNG files there")
    if len(files) < FEWEST:
        todo = "take more, all around the object, one every 10 to 15 degrees"
        raise BadInput("too few photos", where=folder, why=f"{len(files)}, at least {FEWEST} needed", todo=todo)
    found: dict[str, Path] = {}
    twice = [path.name for path in files if found.setdefault(fingerprint(path), path) is not path]
    if len(found) < FEWEST:
        todo = "take photos from all around the object"
        raise BadInput("too few photos", where=folder, why=f"{len(twice)} are copies of others", todo=todo)
    if twice:
        why = f"{listed(twice)} are copies of others"
        raise BadInput("photos that are there twice", where=folder, why=why, todo="keep one of each")
    return files


def is_video(file: Path) -> bool:
    """Whether it is a file that is called as videos are."""
    return file.suffix.lower() in VIDEOS and file.is_file()


def name_of(source: Path) -> str:
    """What is made of a folder is called as it is; what is made of a video, without its suffix."""
    place = source.resolve()
    return place.stem if is_video(place) else place.name


def is_plain(folder: Path) -> bool:
    """Whether a folder has photos and none of what makes it a capture of a known format; a video is plain too."""
    if is_video(folder):
        return True
    if not folder.is_dir() or is_recognised(folder):
        return False
    with suppress(OSError):  # what cannot be listed is told by the reader
        return any(path.suffix.lower() in SUFFIXES for path in folder_of_photos(folder).iterdir())
    return False
