"""A folder of checkpoints on a small disk of its own, which can be filled; root only, since it is mounted."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = "64m"
FILL = "fill"


class FullDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Keep the disk full until the end of the block."""
        fill = self.folder / FILL
        try:
            with fill.open("wb", buffering=0) as file, suppress(OSError):  # until it is full, even if others write meanwhile
                while file.write(bytes(65_536)):
                    pass
            yield
        finally:
            fill.unlink(missing_ok=True)

    def damage(self, path: str) -> bool:
        """Overwrite the first byte of a checkpoint; False when it does not exist any more."""
        try:
            with (self.folder / path).open("r+b") as file:
                file.write(b"x")
        except FileNotFoundError:
            return False
        return True


@contextmanager
def small_disk(folder: Path) -> Iterator[FullDisk | None]:
    """A small disk at `folder`; None where none can be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
