"""A disk for simulated power cuts: ext4 in a file, on a loop device."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSHING_THE_LOG = 2


def cut_power(folder: Path) -> None:
    """Drop all later writes to the disk of this folder, as a power failure does."""
    opened = os.open(folder, os.O_RDONLY)
    fcntl.ioctl(opened, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING_THE_LOG))
    os.close(opened)


class Disk:
    """A disk mounted at `folder`. Skips the test if it cannot be mounted."""

    def __init__(self, folder: Path, size: str = "96M") -> None:
        self.folder, self._image = folder, folder.with_suffix(".img")
        folder.mkdir()
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            pytest.skip("a power cut is tested as root, with mkfs.ext4: apt-get install e2fsprogs")
        with self._image.open("wb") as image:
            image.truncate(int(size.removesuffix("M")) << 20)
        subprocess.run(["mkfs.ext4", "-q", str(self._image)], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self.folder)], check=True)

    def cut(self) -> None:
        """Cut the power, unless it is already cut, and mount the disk again."""
        with suppress(OSError):
            cut_power(self.folder)
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)
