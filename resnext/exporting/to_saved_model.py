"""Export to TensorFlow's SavedModel: a folder with the graph, which contains the weights as constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resnext.backend import silent
from resnext.engines.saved_model import DESCRIPTION, GRAPH, SIGNATURE
from resnext.exporting.network import Export


def write(export: Export, path: Path) -> Path:
    """Write a trained network into a new folder, and return it.

    Args:
        export: network to write.
        path: folder to make.
    """
    import tensorflow as tf

    known, kind = export.model.preprocessing, tf.uint8 if export.description.input == "uint8" else tf.float32
    shape = known.shape if kind == tf.uint8 else (known.size, known.size, known.channel_count)
    images = tf.TensorSpec((None, *shape), kind, name="images")
    with silent():
        constant, names = _with_constant_weights(export, images)
        module: Any = tf.Module()
        module.network = constant  # a function is saved if an attribute holds it
        serve = tf.function(lambda images: dict(zip(names, constant(images), strict=True)), input_signature=[images])
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # SiLU has one, of a variable
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: serve}, options=options)
    (path / DESCRIPTION).parent.mkdir()
    known = export.description.to_metadata((path / GRAPH).read_bytes())
    (path / DESCRIPTION).write_text(json.dumps(known, ensure_ascii=False), encoding="utf-8")
    return path


def _with_constant_weights(export: Export, images: Any) -> tuple[Any, list[str]]:
    """Return the TensorFlow function that a network computes, and the names of its outputs in order.

    Variables would be restored by operations that read files, which nobody should run in a file from others.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from resnext.exporting.keras_function import exported_function

    network, compute = exported_function(export)
    concrete = tf.function(compute, input_signature=[images]).get_concrete_function()
    constant = convert_variables_to_constants_v2(concrete)
    del network  # its variables had to live until here
    return constant, sorted(concrete.structured_outputs)
