"""Batches of columns for other programs, such as Ray Data."""

import numpy as np
import pytest
from PIL import Image

from resnext import predict
from resnext.errors import ArgumentError
from resnext.inference.batch_predictor import BatchPredictor
from resnext.inference.options import PredictionOptions

pytestmark = pytest.mark.once


def test_batches_of_columns_for_other_programs(trained, colours):
    """What Ray Data and others hand over: paths, contents of files, or pixels, and what goes with them."""
    folder, _ = trained
    files = sorted((colours / "test").glob("*/*.png"))
    expected = [(each.answer, each.classes[0][1]) for each in predict(folder, files)]
    predictor = BatchPredictor(folder)
    batches = [
        {"path": np.array([str(file) for file in files], object)},
        {"bytes": np.array([file.read_bytes() for file in files], object), "path": np.array(files, object)},
        {"image": np.stack([np.asarray(Image.open(file)) for file in files])},
    ]
    for batch in batches:
        given = predictor({**batch, "id": np.arange(len(files))})
        assert given["id"].tolist() == list(range(len(files)))
        assert given["answer"].tolist() == [answer for answer, _ in expected]
        np.testing.assert_allclose(given["probability"], [share for _, share in expected], atol=1e-4)
        assert given["error"].tolist() == [None] * len(files)
    bad = predictor({"bytes": np.array([b"not an image", files[0].read_bytes()], object)})
    assert bad["answer"].tolist() == [None, expected[0][0]]
    assert bad["error"][0].startswith("not a JPEG, PNG")
    assert np.isnan(bad["probability"][0])
    (reason,) = predictor({"image": np.zeros((1, 8, 8, 2), np.uint8)})["error"]
    assert reason.startswith("an image of shape (8, 8, 2) has 2 channels")
    embeddings = BatchPredictor(folder, options=PredictionOptions(top=1, embeddings=True))(batches[0])["embedding"]
    assert embeddings.shape == (12, 2048)
    with pytest.raises(ArgumentError, match=r"one of the columns path, bytes, image\. Received: id"):
        predictor({"id": np.arange(2)})


@pytest.mark.slow
def test_ray_data_predicts_with_it(trained, colours):
    """Needs the extra `ray`, which is large: skipped where it is not installed."""
    ray = pytest.importorskip("ray")
    folder, _ = trained
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        files = sorted(str(path) for path in (colours / "test").glob("*/*.png"))
        images = ray.data.read_binary_files(str(colours / "test"), include_paths=True)
        rows = images.map_batches(
            BatchPredictor, fn_constructor_args=[str(folder)], batch_size=4, concurrency=1
        ).take_all()
    finally:
        ray.shutdown()
    given = {row["path"]: row["answer"] for row in rows}
    assert sorted(given) == files
    assert given == {each.image: each.answer for each in predict(folder, files)}
