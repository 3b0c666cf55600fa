"""Backbones, frozen stages, drop path and dropout."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext import ResNeXt, backbone, freeze, load_weights, save_weights
from resnext.model.classifier import keras_config
from resnext.model.folding import fold
from resnext.model.forms import to_form
from resnext.model.recompute import recompute
from resnext.variants.names import get_variant
from resnext.weights.variables import get_weights
from support.networks import computed

SMALL = "resnext14_4x4d"


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def run(model, x):
    outputs = computed(model, x)
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_pyramid_says_what_its_maps_are(output_stride):
    network = backbone(SMALL, out_stages=(1, 2, 3, 4, 5), output_stride=output_stride)
    assert network.input_shape == (None, None, None, 3)
    maps = run(network, images(2, 64, 96, 3))
    assert [level.stage for level in network.pyramid] == [1, 2, 3, 4, 5]
    assert [level.channels for level in network.pyramid] == [64, 256, 512, 1024, 2048]
    assert [level.stride for level in network.pyramid] == [min(2**i, output_stride) for i in range(1, 6)]
    for level, features in zip(network.pyramid, maps, strict=True):
        assert features.shape == (2, 64 // level.stride, 96 // level.stride, level.channels)


def test_a_variant_keeps_its_own_output_stride():
    variant = dataclasses.replace(get_variant(SMALL), output_stride=8)
    assert backbone(variant).pyramid[-1].stride == 8
    assert backbone(variant, output_stride=16).pyramid[-1].stride == 16


def test_what_needs_one_output_refuses_a_backbone():
    with pytest.raises(ValueError, match="`network` must have the blocks of ResNeXt, not folded, and one output"):
        recompute(backbone(SMALL))
    with pytest.raises(ValueError, match=r"`model` must be what `ResNeXt` built. Received: Backbone"):
        to_form(backbone(SMALL), "b")


def test_stages_come_in_the_order_that_was_asked_for():
    network = backbone("resnet20", out_stages=(4, 2))
    assert [tuple(level) for level in network.pyramid] == [(4, 4, 64), (2, 1, 16)]
    assert [features.shape for features in run(network, images(1, 32, 32, 3))] == [(1, 8, 8, 64), (1, 32, 32, 16)]


@pytest.mark.parametrize(
    ("name", "arguments", "stages"),
    [
        (SMALL, {}, {"P2": 2, "P3": 3, "P4": 4, "P5": 5}),
        (SMALL, {"out_stages": (5, 1, 3)}, {"P1": 1, "P3": 3, "P5": 5}),
        (SMALL, {"output_stride": 16}, {"P2": 2, "P3": 3, "P4": 5}),  # stages 4 and 5 have stride 16: the last counts
        (SMALL, {"output_stride": 8, "out_stages": (4, 3)}, {"P3": 4}),
        (SMALL, {"out_stages": 4}, {"P4": 4}),
        ("resnet20", {"out_stages": (1, 2, 3, 4)}, {"P0": 2, "P1": 3, "P2": 4}),
    ],
)
def test_pyramid_outputs_are_named_by_their_strides(tmp_path, name, arguments, stages):
    network = backbone(name, **arguments)
    network.save(tmp_path / "backbone.keras")
    for model in (network, keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)):
        outputs = dict(zip((level.stage for level in model.pyramid), model.outputs, strict=True))
        assert list(model.pyramid_outputs) == list(stages)
        assert all(model.pyramid_outputs[key] is outputs[stage] for key, stage in stages.items())
    maps = keras.Model(network.input, network.pyramid_outputs)(images(2, 64, 96, 3))
    for key, features in maps.items():
        assert features.shape[1:3] == (64 // 2 ** int(key[1:]), 96 // 2 ** int(key[1:]))


@pytest.fixture
def keras_hub():
    return pytest.importorskip("keras_hub", reason="KerasHub is not installed (pip install keras-hub)")


def train_one_step(model, backbone, targets):
    """Check that every weight of the backbone changes, and that losses are finite."""
    before = get_weights(backbone)
    losses = model.fit(images(2, 64, 64, 3), targets, batch_size=2, verbose=0).history
    assert np.isfinite([*losses.values()]).all()
    for name, value in get_weights(backbone).items():
        assert not np.array_equal(value, before[name]), name


@pytest.mark.once
def test_a_detector_of_kerashub_trains_a_backbone(keras_hub, tmp_path):
    encoder = backbone(SMALL)
    pyramid = keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=6, use_p5=False, image_shape=(64, 64, 3)
    )
    detector = keras_hub.models.RetinaNetObjectDetector(
        backbone=pyramid, num_classes=3, bounding_box_format="xyxy", pre_logits_num_conv_layers=1
    )
    detector.compile(keras.optimizers.SGD(0.01))
    boxes = np.array([[[4, 4, 40, 40]], [[10, 20, 60, 60]]], "float32")
    train_one_step(detector, encoder, {"boxes": boxes, "labels": np.array([[0], [2]], "int32")})
    pyramid.save(tmp_path / "pyramid.keras")
    loaded = keras.saving.load_model(tmp_path / "pyramid.keras", safe_mode=True)
    assert loaded.image_encoder.pyramid == encoder.pyramid
    expected, again = (computed(model, images(1, 64, 64, 3)) for model in (pyramid, loaded))
    for key in ("P3", "P4", "P5", "P6"):
        np.testing.assert_allclose(again[key], expected[key], rtol=1e-4, atol=1e-5)


@pytest.mark.once
def test_a_segmenter_of_kerashub_trains_a_backbone(keras_hub):
    encoder = backbone(SMALL, output_stride=16)
    pyramid = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P4",
        low_level_feature_key="P2",
        upsampling_size=4,
        dilation_rates=[2, 4],
        image_shape=(64, 64, 3),
    )
    segmenter = keras_hub.models.DeepLabV3ImageSegmenter(backbone=pyramid, num_classes=3, activation="softmax")
    assert segmenter.output_shape == (None, 64, 64, 3)
    segmenter.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(), metrics=[])
    train_one_step(segmenter, encoder, np.random.default_rng(0).integers(0, 3, (2, 64, 64)))


def test_last_map_is_that_of_the_network_without_a_head(tmp_path):
    whole = ResNeXt(SMALL, input_shape=(32, 32, 3), classes=5)
    save_weights(whole, tmp_path / "w.safetensors")
    [last] = run(backbone(SMALL, weights=tmp_path / "w.safetensors", out_stages=[5]), x := images(2, 32, 32, 3))
    headless = ResNeXt(SMALL, include_top=False, weights=tmp_path / "w.safetensors")
    np.testing.assert_allclose(last, computed(headless, x), rtol=1e-4, atol=1e-5)
    frozen = backbone(SMALL, out_stages=[5])
    load_weights(frozen, tmp_path / "w.safetensors")
    np.testing.assert_allclose(run(frozen, x)[0], last, rtol=1e-4, atol=1e-5)


def test_backbone_saves_loads_and_folds(tmp_path):
    network = backbone(SMALL, out_stages=(2, 5), input_shape=(32, 32, 3), name="mine")
    network.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    assert (loaded.pyramid, loaded.name) == (network.pyramid, "mine")
    for expected, *others in zip(
        *(run(n, images(2, 32, 32, 3)) for n in (network, loaded, fold(network))), strict=True
    ):
        for other in others:
            np.testing.assert_allclose(other, expected, rtol=1e-3, atol=1e-4)


def test_channels_first_backbone_takes_an_input_tensor():
    with keras_config("float32", "channels_first"):
        network = backbone(SMALL, input_tensor=keras.Input((3, 32, 64)), out_stages=[3])
        assert network.output_shape == (None, 512, 4, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"out_stages": ()}, r"`out_stages` must be different stages of 1, 2, 3, 4, 5. Received: \(\)"),
        ({"out_stages": (2, 2)}, r"different stages of 1, 2, 3, 4, 5. Received: \(2, 2\)"),
        ({"out_stages": (6,)}, r"Received: \(6,\)"),
        ({"output_stride": 64}, "`output_stride` must be one of 8, 16, 32. Received: 64"),
        ({"form": "x"}, "`form` must be one of 'a', 'b', 'c', 'sliced'. Received: 'x'"),
    ],
)
def test_wrong_backbones_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        backbone(SMALL, **arguments)


def test_frozen_stages_stay_as_they_are_and_the_others_learn():
    network = ResNeXt("seresnet14d", input_shape=(32, 32, 3), classes=5, classifier_activation=None)
    assert freeze(network, stages=(1, 2)) is network
    before = get_weights(network)
    network.compile(keras.optimizers.SGD(0.1), "mse")
    network.train_on_batch(images(4, 32, 32, 3), images(4, 5))
    for name, value in get_weights(network).items():
        frozen = name.startswith(("stem", "stage2_"))
        assert np.array_equal(value, before[name]) == frozen, name
    with pytest.raises(
        ValueError, match=r"`stages` must be among those of seresnet14d: 1, 2, 3, 4, 5 \(1 is the stem\). Received: 6"
    ):
        freeze(network, stages=(1, 6))


def test_drop_path_leaves_whole_images_at_their_shortcut():
    variant = dataclasses.replace(get_variant("resnet20"), drop_path=0.6, drop_rate=0.4)
    network = ResNeXt(variant, classes=4)
    rates = [layer.rate for layer in network.layers if layer.name.endswith("_drop_path")]
    np.testing.assert_allclose(rates, [0.6 * i / 8 for i in range(1, 9)])
    assert network.get_layer("dropout").rate == 0.4
    last = network.get_layer("stage4_block3_drop_path")
    y = keras.ops.convert_to_numpy(last(np.ones((400, 2, 3, 64), "float32"), training=True))
    kept = y[:, 0, 0, 0] > 0
    assert (y == y[:, :1, :1, :1]).all()  # the whole image, or nothing of it
    np.testing.assert_allclose(y[kept], 2.5, rtol=1e-5)  # 1 / 0.4: the expectation stays
    assert 0.25 < kept.mean() < 0.55
    plain = ResNeXt("resnet20", classes=4)
    plain.set_weights(network.get_weights()[: len(plain.get_weights())])
    x = images(3, 32, 32, 3)
    np.testing.assert_allclose(run(network, x), run(plain, x), rtol=1e-5)


@pytest.mark.once  # every family computes on every backend in test_parity
@pytest.mark.parametrize("name", ["seresnextaa14d_4x4d", "ecaresnext14t_4x4d", "resnet18", "legacy_seresnext14_4x4d"])
def test_the_wider_family_folds_changes_form_saves_and_recomputes(tmp_path, name):
    network = ResNeXt(name, input_shape=(64, 64, 3), classes=4, classifier_activation=None)
    x = images(2, 64, 64, 3)
    expected = run(network, x)
    forms = [to_form(network, "b"), to_form(to_form(network, "a"), "c")] if "18" not in name else []
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    assert loaded.variant == get_variant(name)
    for other in (fold(network), recompute(network), loaded, *forms):
        np.testing.assert_allclose(run(other, x), expected, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in fold(network).layers[5:])
