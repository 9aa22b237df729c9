"""Installed distributions for tests: what pip would put into a folder on the import path."""

from collections.abc import Mapping
from pathlib import Path


def install(site: Path, name: str, entry_points: Mapping[str, str], modules: Mapping[str, str]) -> Path:
    """Install version 1.2 of a package with these entry points of Stride's group and these modules; returns the folder."""
    metadata = site / f"{name}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = [f"{entry} = {value}" for entry, value in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[stride.objectives]", *lines]))
    package = site / name
    package.mkdir()
    (package / "__init__.py").touch()
    for module, source in modules.items():
        (package / f"{module}.py").write_text(source)
    return site
