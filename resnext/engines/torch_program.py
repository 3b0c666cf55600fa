"""A PyTorch program in a .pt2 file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.exported_file import ExportedFile

DESCRIPTION = "resnext.json"  # among the extra files


class TorchProgram(ExportedFile):
    """A file that this process has written, in PyTorch. In a file from others, PyTorch would run the pickled code."""

    name, package, title = "torch", "torch", "PyTorch"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        import torch

        files = {DESCRIPTION: ""}
        program = torch.export.load(str(source), extra_files=files)
        self.module = program.module()
        outputs = program.call_spec.out_spec.context  # names
        shapes = [node.meta["val"].shape for node in program.graph.find_nodes(op="placeholder")[-1:]]
        shapes += [node.meta["val"].shape for node in program.graph.output_node().args[0]]
        return json.loads(files[DESCRIPTION]), dict(zip(("images", *outputs), map(list, shapes), strict=True))

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        import torch

        with torch.inference_mode():
            return {name: values.numpy() for name, values in self.module(torch.from_numpy(images)).items()}
