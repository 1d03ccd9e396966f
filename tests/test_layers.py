"""The layers that import-linter holds are the folders that there are; claims do not import one another."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "hyperlearning"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
CLAIMS = sorted(path for path in PACKAGE.glob("experiments/*/*.py") if path.stem != "__init__")


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_every_folder_and_module_is_a_layer():
    layers = {name.strip() for entry in CONTRACTS[0]["layers"] for name in entry.split("|")}
    there = {path.stem for path in PACKAGE.iterdir() if path.name == "cli.py" or (path / "__init__.py").is_file()}
    assert layers == {f"hyperlearning.{name}" for name in there}


@pytest.mark.parametrize("layer", ["systems", "experiments"])
def test_every_family_is_held_apart_from_the_others(layer: str):
    families = {f"hyperlearning.{layer}.{path.name}" for path in (PACKAGE / layer).iterdir() if path.is_dir()} - {
        f"hyperlearning.{layer}.__pycache__"
    }
    held = [set(contract["modules"]) for contract in CONTRACTS if contract["type"] == "independence"]
    assert families in held


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in CLAIMS])
def test_a_claim_imports_no_other_claim(path: Path):
    claim = min((other.stem for other in CLAIMS if path.stem.startswith(other.stem)), key=len)
    family = f"hyperlearning.experiments.{path.parent.name}."
    others = {name.removeprefix(family).split(".")[0] for name in _imported(path) if name.startswith(family)}
    assert {other for other in others if not other.startswith(claim)} == set()
