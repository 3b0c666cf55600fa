"""Export to PyTorch: one .pt2 file, for torch.export.load, AOTInductor and ExecuTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from resnext.exporting.options import LABELS
from resnext.exporting.target import labels_of
from resnext.inference.engines import Description, Engine
from resnext.inference.model import Model

DESCRIPTION = "resnext.json"  # among the extra files
KEPT = ("val", "tensor_meta")  # of what is known of a node; the rest are lines and paths of the program that wrote it


def write(model: Model, description: Description, path: Path, maps: bool) -> Path:
    """Write a trained network, and return the file; the arguments are those of `to_saved_model.write`.

    Normalised images and maps have their channels first, as PyTorch has them.
    """
    import keras
    import torch

    from resnext.exporting.function import exported_function

    network, compute = exported_function(model, description, maps)
    inside, size = description.input == "uint8", model.preprocessing.size

    class Network(torch.nn.Module):
        """The network with its weights as parameters; Keras would have them as constants, copied at each call."""

        def __init__(self):
            super().__init__()
            for variable in network.variables:
                values = torch.nn.Parameter(variable.value.detach(), requires_grad=False)
                self.register_parameter(variable.path.replace("/", "_"), values)

        def forward(self, images: Any) -> dict[str, Any]:
            with keras.StatelessScope(zip(network.variables, self.parameters(), strict=True)):
                outputs = compute(images if inside else images.permute(0, 2, 3, 1))
            return outputs | ({"maps": outputs["maps"].permute(0, 3, 1, 2)} if maps else {})

    shape, kind = ((2, size, size, 3), torch.uint8) if inside else ((2, 3, size, size), torch.float32)
    batch = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(Network().eval(), (torch.zeros(shape, dtype=kind),), dynamic_shapes=batch)
    for node in program.graph.nodes:
        node.meta = {name: value for name, value in node.meta.items() if name in KEPT}
    files = {
        DESCRIPTION: json.dumps(description.to_metadata(), ensure_ascii=False),
        LABELS: labels_of(description.classes).decode(),
    }
    torch.export.save(program, path, extra_files=files)
    return path


class TorchProgram(Engine):
    """A file that this process has written, in PyTorch. Of others', it would run what is pickled in it."""

    package, title = "torch", "PyTorch"

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
