"""Export to PyTorch: one .pt2 file, for torch.export.load, AOTInductor and ExecuTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resnext.engines.torch_program import DESCRIPTION
from resnext.exporting.formats import LABELS
from resnext.exporting.network import Export
from resnext.exporting.preconditions import labels_text

KEPT = ("val", "tensor_meta")  # of a node's metadata; the rest are lines and paths of the program that wrote it


def write(export: Export, path: Path) -> Path:
    """Write a trained network, and return the file.

    Normalised images and maps are channels first, as in PyTorch.
    """
    import keras
    import torch

    from resnext.exporting.keras_function import exported_function

    description, maps = export.description, export.options.maps
    network, compute = exported_function(export)
    inside = description.input == "uint8"

    class Network(torch.nn.Module):
        """The network with its weights as parameters; Keras would store them as constants, copied at each call."""

        def __init__(self):
            super().__init__()
            for variable in network.variables:
                values = torch.nn.Parameter(variable.value.detach(), requires_grad=False)
                self.register_parameter(variable.path.replace("/", "_"), values)

        def forward(self, images: Any) -> dict[str, Any]:
            with keras.StatelessScope(zip(network.variables, self.parameters(), strict=True)):
                outputs = compute(images if inside else images.permute(0, 2, 3, 1))
            return outputs | ({"maps": outputs["maps"].permute(0, 3, 1, 2)} if maps else {})

    known = export.model.preprocessing
    outside = (2, known.channel_count, known.size, known.size)
    shape, kind = ((2, *known.shape), torch.uint8) if inside else (outside, torch.float32)
    batch = {"images": {0: torch.export.Dim("batch")}}
    program = torch.export.export(Network().eval(), (torch.zeros(shape, dtype=kind),), dynamic_shapes=batch)
    for node in program.graph.nodes:
        node.meta = {name: value for name, value in node.meta.items() if name in KEPT}
    files = {
        DESCRIPTION: json.dumps(description.to_metadata(), ensure_ascii=False),
        LABELS: labels_text(description.classes).decode(),
    }
    torch.export.save(program, path, extra_files=files)
    return path
