"""The repository itself: layout, links, what is built from it, and documents that say what the program does."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT
from typer.main import get_command

import taichi_idr
from taichi_idr.cli.main import app
from taichi_idr.errors import ExitCode
from taichi_idr.methods.catalogue import METHODS
from taichi_idr.methods.flow.settings import FlowConfig
from taichi_idr.methods.points.settings import PRESETS
from taichi_idr.methods.shapes.settings import PRESETS as SHAPES
from taichi_idr.settings import all_keys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FLOORS = ("kernels", "taichi_idr", "cli")
FEATURES = {
    "NET": range(1, 12),
    "TRACE": [*range(1, 12), 13, 14],
    "LOSS": range(1, 6),
    "CAM": [1, 2, 4, 5, 6, 7, 9, 10],
    "EVAL": [1, 5, 6, 8],
}
"""What the paper and its released code consist of; other numbers are unused."""
OTHER_SYSTEMS = {
    "DVR": range(1, 10),
    "UNI": range(1, 9),
    "NERF": range(1, 5),
    "OCC": range(1, 6),
    "TEX": [1, 2],
    "LIGHT": [1],
    "PTS": range(1, 4),
    "FLOW": range(1, 5),
}
OTHER_NAMES = {"pillow": "PIL", "scikit-image": "skimage", "tomli-w": "tomli_w", "opencv-python-headless": "cv2"}
OTHER_NAMES |= {"fast-simplification": "fast_simplification", "usd-core": "pxr", "dask-jobqueue": "dask_jobqueue"}


def test_three_floors_and_two_links():
    for floor in FLOORS:
        assert (ROOT / floor / "__init__.py").is_file()
    for link in ("kernels", "cli"):
        assert (ROOT / "taichi_idr" / link).readlink() == Path("..") / link


def test_kernels_import_taichi_and_each_other_only():
    """The contract of import-linter lists what is forbidden; this one says what is allowed."""
    for path in (ROOT / "kernels").glob("*.py"):
        for module in _imported(path):
            assert module.startswith(".") or (path.name, module) == ("_ti.py", "taichi"), f"{path.name}: {module}"


def test_kernels_refuse_another_name():
    command = [sys.executable, "-c", "import kernels"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "expected 'taichi_idr.kernels'" in result.stderr


def test_what_is_imported_and_what_is_declared_agree():
    project = _pyproject()["project"]
    extras = project["optional-dependencies"]
    texts = [
        *project["dependencies"],
        *extras["photos"],
        *extras["masks"],
        *extras["las"],
        *extras["view"],
        *extras["batch"],
    ]
    requirements = [re.split(r"[^\w-]", text, maxsplit=1)[0] for text in texts]
    declared = {OTHER_NAMES.get(name, name) for name in requirements} - {"cryptography"}  # distributed imports it
    modules = {module.split(".")[0] for path in _floor_sources() for module in _imported(path)}
    assert modules - {"", "taichi_idr"} - set(sys.stdlib_module_names) - {"tomli"} == declared - {"tomli"}


def test_no_path_of_somebodys_machine():
    own = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt)/\w|[A-Z]:\\Users")
    for path in _repository_files():
        if path.suffix in {".py", ".md", ".toml", ".txt", ""} and path.is_file():
            found = own.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)}: {found.group()}"


def test_the_architecture_is_that_of_the_tree():
    """docs/architecture.md names every folder of code, highest first as the layers have them, and no other."""
    named = re.findall(r"^\| `([\w/]+)/` \|", _text("docs/architecture.md"), re.MULTILINE)
    folders = {str(path.parent.relative_to(ROOT)) for path in _floor_sources() if path.name == "__init__.py"}
    assert set(named) == folders - {"taichi_idr"}
    assert len(named) == len(set(named))
    layers = [layer.split(" | ") for layer in _contract("floors")["layers"]]
    rank = {name: rank for rank, names in enumerate(layers) for name in names}
    ranks = [rank[folder.removeprefix("taichi_idr/").split("/")[0]] for folder in named]
    assert ranks == sorted(ranks)
    assert len(layers) <= 16


def test_every_folder_says_what_it_owns_stands_on_and_never_does():
    for path in (ROOT / "taichi_idr").rglob("__init__.py"):
        wing = path.parent.relative_to(ROOT / "taichi_idr")
        if wing.parts and not path.parent.is_symlink():
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            assert 3 <= len(words.splitlines()) <= 5 and "stand" in words, wing


def test_methods_are_told_apart_by_their_contract_alone():
    """No isinstance on a config, a model or a trainer outside the folder that it belongs to."""
    for path in _floor_sources():
        if path.parent.name not in ("dvr", "fast", "flow", "idr", "nerf", "points", "shapes", "unisurf"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                    kinds = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                    named = {kind for kind in kinds if kind.endswith(("Config", "Model", "Trainer"))}
                    assert not named, f"{path.relative_to(ROOT)}: {named}"


def test_tests_share_what_they_share_in_files_of_its_own():
    for path in (ROOT / "tests").rglob("*.py"):
        for module in _imported(path):
            assert not module.rpartition(".")[2].startswith("test_"), f"{path.relative_to(ROOT)} imports {module}"


def test_frozen_records_stay_as_they_are():
    for path in [*_floor_sources(), *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "__setattr__"), path.relative_to(ROOT)


def test_version_is_said_once_more_in_the_changelog():
    version = _pyproject()["project"]["version"]
    assert version == taichi_idr.__version__
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_commands_exist(document):
    """Every `tidr COMMAND --option` of the documents is one the program has."""
    for command, options in _documented_commands(document):
        known = _options_of(command)
        assert set(options) <= known, f"tidr {command}: {sorted(set(options) - known)}"


def test_every_command_is_in_the_readme():
    table = re.findall(r"^\| `tidr ([a-z-]+)", _text("README.md"), re.MULTILINE)
    assert sorted(table) == sorted(get_command(app).commands)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_settings_exist(document):
    classes = [*(method.settings for method in METHODS), *map(type, [*PRESETS.values(), *SHAPES.values()]), FlowConfig]
    keys = {key for settings in classes for key in all_keys(settings)}
    groups = {key.partition(".")[0] for key in keys if "." in key}
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)\.(\w+)(?:=[^`]*)?`", text) + re.findall(r"--set\s(\w+)\.(\w+)=", text)
    for group, key in named:
        if group in groups and key not in ("py", "md", "npz", "sfm", "json"):
            assert f"{group}.{key}" in keys


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_make_targets_exist(document):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in re.findall(r"(?:`|^)make ([\w-]+)", document.read_text(encoding="utf-8"), re.MULTILINE):
        assert target in targets


def test_exit_codes_are_documented():
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}


@pytest.mark.parametrize(("page", "features"), [("docs/idr.md", FEATURES), ("docs/methods.md", OTHER_SYSTEMS)])
def test_feature_table_names_code_and_tests_that_name_the_feature(page, features):
    """Every feature has a row, whose modules exist and whose tests say its ID."""
    rows = re.findall(r"^\| ([A-Z]+-\d+) \|.*\| (.*?) \| (.*?) \|$", _text(page), re.MULTILINE)
    assert [name for name, _, _ in rows] == [f"{family}-{n}" for family, ns in features.items() for n in ns]
    for name, modules, tests in rows:
        for path in re.findall(r"`([\w/]+\.py)`", modules):
            assert (ROOT / path).is_file(), f"{name}: {path}"
        paths = re.findall(r"`([\w/]+\.py)`", tests)
        assert paths, name
        for path in paths:
            assert name in _features_named(path), f"{name} is not named in {path}"


def test_python_of_the_readme_imports_what_exists():
    blocks = re.findall(r"```python\n(.*?)```", _text("README.md"), re.DOTALL)
    assert blocks
    for block in blocks:
        imports = [node for node in ast.parse(block).body if isinstance(node, ast.ImportFrom | ast.Import)]
        exec(compile(ast.Module(imports, []), "README.md", "exec"), {})


def test_distributions_hold_each_floor_once(tmp_path):
    pytest.importorskip("build")
    for path in _repository_files():
        copy = tmp_path / "tree" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy, follow_symlinks=False)
    _python("-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", tmp_path / "tree", cwd=tmp_path)

    sources = {str(path.relative_to(ROOT)) for path in _floor_sources()}
    with tarfile.open(next((tmp_path / "dist").glob("*.tar.gz"))) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        names = {name.partition("/")[2] for name in archive.getnames() if name.endswith(".py")}
        assert names - {"setup.py"} == sources
    wheel = next((tmp_path / "dist").glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        assert "taichi_idr/viewer/page.html" in archive.namelist()
        names = [name for name in archive.namelist() if name.endswith(".py")]
        assert sorted(names) == sorted(re.sub("^(kernels|cli)/", r"taichi_idr/\1/", name) for name in sources)

    _python("-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "installed", wheel, cwd=tmp_path)
    code = "from taichi_idr import cli, kernels; print(cli.__file__, kernels.__file__, sep='\\n')"
    for place in _python("-c", code, cwd=tmp_path / "installed").splitlines():
        assert Path(place).is_relative_to(tmp_path / "installed")


def _python(*arguments: str | Path, cwd: Path) -> str:
    """Standard output of Python in `cwd`, which comes first in its search path for -c."""
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _repository_files() -> list[Path]:
    """What is committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout: {error}")
    paths = [ROOT / name for name in sorted(set(listed.split("\0"))) if name]
    return [path for path in paths if path.is_symlink() or path.is_file()]


def _floor_sources() -> Iterator[Path]:
    links = (ROOT / "taichi_idr" / "kernels", ROOT / "taichi_idr" / "cli")
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            if not any(link in path.parents for link in links):
                yield path


def _imported(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere; relative ones keep their dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _contract(name: str) -> dict:
    """Of import-linter."""
    return next(one for one in _pyproject()["tool"]["importlinter"]["contracts"] if one["id"] == name)


def _pyproject() -> dict:
    return tomllib.loads(_text("pyproject.toml"))


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _documented_commands(document: Path) -> Iterator[tuple[str, list[str]]]:
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, rest in re.findall(r"(?:^|`|-m )(?:tidr|taichi_idr) ([a-z][a-z-]*)([^`\n#]*)", text, re.MULTILINE):
        yield command, re.findall(r"(?<!\w)--[a-z][\w-]*", rest)


def _options_of(command: str) -> set[str]:
    group = get_command(app)
    assert command in group.commands, f"no command tidr {command}"  # pyright: ignore[reportAttributeAccessIssue]
    parameters = [*group.params, *group.commands[command].params]  # pyright: ignore[reportAttributeAccessIssue]
    return {"--help", *(option for parameter in parameters for option in parameter.opts)}


def _features_named(path: str) -> set[str]:
    """IDs such as TRACE-7 in a file; "TRACE-8 to TRACE-11" names four."""
    named = set()
    for family, first, last in re.findall(r"\b([A-Z]+)-(\d+)(?: to \1-(\d+))?", _text(path)):
        named |= {f"{family}-{number}" for number in range(int(first), int(last or first) + 1)}
    return named
