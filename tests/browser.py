"""A Chromium for tests of pages: the machine's, else the one that an npm package has in it."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import pytest

PACKAGE = "@sparticuz/chromium@153"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Chromium:
    """Where it is, and its environment: the package has the libraries and fonts with it that a bare machine lacks."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def chromium(shared: Path) -> Chromium:
    """The machine's Chromium, or the package's, unpacked once below ``shared``, which processes may share."""
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    if installed is not None:
        return Chromium(Path(installed))
    home = shared / "chromium"
    if not home.exists():
        work = shared / f"chromium-{os.getpid()}"
        _unpack(_package(work), work, home)
        try:
            work.rename(home)
        except OSError:
            shutil.rmtree(work)  # Another process was quicker.
    return Chromium(home / "chromium", {"LD_LIBRARY_PATH": str(home / "lib"), "FONTCONFIG_PATH": str(home)})


def _package(work: Path) -> Path:
    """The package, fetched by the machine's npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no Chromium on this machine, and no npm to fetch one")
    work.mkdir(parents=True)
    command = [npm, "install", "--prefix", str(work), "--no-audit", "--no-fund", "--silent", PACKAGE]
    subprocess.run(command, check=True, timeout=300)
    return work / "node_modules" / "@sparticuz" / "chromium" / "bin"


def _unpack(packed: Path, work: Path, home: Path) -> None:
    """Unpack what the package has; its fonts are found where it is going to be."""
    program = work / "chromium"
    program.write_bytes(brotli.decompress((packed / "chromium.br").read_bytes()))
    program.chmod(0o755)
    for name in ("al2023", "fonts"):
        data = brotli.decompress((packed / f"{name}.tar.br").read_bytes())
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(work, filter="data")
    (work / "fonts.conf").write_text(
        f"<fontconfig><dir>{home / 'fonts'}</dir><cachedir>{home / 'cache'}</cachedir></fontconfig>"
    )
    shutil.rmtree(work / "node_modules")
