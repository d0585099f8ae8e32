"""Run notebooks on this Python, independent of the kernels of the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient

from tests.support.checkout import ROOT


def environment_of(root: Path) -> dict[str, str]:
    """Variables that make `Lakehouse.open()` open the lake under `root`, from any folder."""
    return {
        "LAKEHOUSE_LAKE": str(root / "lake"),
        "LAKEHOUSE_SONG_DATA": str(root / "sample" / "song_data"),
        "LAKEHOUSE_LOG_DATA": str(root / "sample" / "log_data"),
        "PYTHONPATH": str(ROOT),
    }


def execute(notebook: Any, root: Path, folder: Path, client: type[NotebookClient] = NotebookClient) -> None:
    """Run all cells in `folder`, and store their output in the notebook."""
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "This Python",
        "language": "python",
        "env": environment_of(root) | {"IPYTHONDIR": str(root / "ipython")},
    }
    kernel = root / "jupyter" / "kernels" / "this-python"
    kernel.mkdir(parents=True, exist_ok=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(root / "jupyter" / "runtime"))
        at_work = client(
            notebook,
            kernel_name="this-python",
            timeout=120,  # seconds a cell
            resources={"metadata": {"path": str(folder)}},
        )
        at_work.execute()
