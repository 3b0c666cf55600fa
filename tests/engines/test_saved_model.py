"""TensorFlow's SavedModel as an engine: one that does more than compute is not run."""

import shutil

import pytest

from resnext import Model
from resnext.errors import WeightsError

pytest.importorskip("onnx")


@pytest.mark.once
def test_a_saved_model_that_does_more_than_compute_is_not_run(exported_as, tmp_path):
    """TensorFlow's graphs can write files; those of resnext have no such operation, and no other is run."""
    import tensorflow as tf

    class Hostile(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="images")])
        def serve(self, images):
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "by the network")]):
                return {"probabilities": tf.zeros((tf.shape(images)[0], 3))}

    module = Hostile()
    tf.saved_model.save(module, str(tmp_path / "bad"), signatures=module.serve)
    shutil.copytree(exported_as("saved_model") / "assets.extra", tmp_path / "bad" / "assets.extra")
    with pytest.raises(
        WeightsError, match=r"its graph has operations that resnext does not export: Fill?,? ?WriteFile"
    ):
        Model.open(tmp_path / "bad")
    assert not (tmp_path / "written").exists()
