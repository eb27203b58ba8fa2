import keras
import numpy as np
import pytest

import multibox as mb
from multibox.class_names import COCO_CATEGORY_IDS, COCO_CLASSES, COCO_NAMES_BY_ID
from multibox.layers import DecodeDetections, MultiBox
from multibox.models import SSDMobileNet
from multibox.models.sample_classes import _with_columns, sample_classes

NAMES = ("cat", "dog", "tv")


def small(num_classes=3, **options):
    """SSD7, with weights that are all different from what its initializers make."""
    model = mb.SSD7(num_classes, **{"image_size": (64, 96), **options})
    rng = np.random.default_rng(0)
    for layer in model.layers:
        weights = [rng.normal(0, 0.1, w.shape).astype("float32") for w in layer.get_weights()]
        # A variance is the last weight of a BatchNormalization.
        layer.set_weights([*weights[:-1], abs(weights[-1])] if len(weights) == 4 else weights)
    return model


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture(scope="module")
def detector():
    return small(mode="inference", confidence_threshold=0.2, iou_threshold=0.3, max_detections=7)


@pytest.fixture(scope="module")
def coco_model():
    return small(90)


def heads_of(model):
    return {layer.name: layer for layer in model.layers if layer.name.endswith("_mbox_conf")}


def images(model, count=2):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, *model.input_shape[1:]), np.uint8)


def test_columns_by_hand():
    # Two anchors in a cell, background and two classes: a0 b, 1, 2, a1 b, 1, 2.
    old = np.array([[10, 11, 12, 20, 21, 22]], float)
    fresh = np.array([[-1, -2, -3, -4, -5, -6]], float)
    np.testing.assert_array_equal(_with_columns(old, fresh, 2, [0, 2, 1]), [[10, 12, 11, 20, 22, 21]])
    np.testing.assert_array_equal(_with_columns(old, fresh, 2, [0, None, 2]), [[10, -2, 12, 20, -5, 22]])
    np.testing.assert_array_equal(_with_columns(old, fresh[:, :4], 2, [0, 1]), [[10, 11, 20, 21]])
    np.testing.assert_array_equal(_with_columns(old[0], fresh[0], 2, [0, 2, 2]), [10, 12, 12, 20, 22, 22])
    np.testing.assert_array_equal(fresh, [[-1, -2, -3, -4, -5, -6]])


def test_kernels_and_biases_of_the_heads_are_slices(model):
    sampled = sample_classes(model, ["tv", "cat"], class_names=NAMES)
    for name, head in heads_of(model).items():
        kernel, bias = head.get_weights()
        sides = kernel.shape[-1] // 4
        channels = [side * 4 + c for side in range(sides) for c in (0, 3, 1)]
        assert len(channels) > 9
        found = sampled.get_layer(name).get_weights()
        np.testing.assert_array_equal(found[0], kernel[..., channels])
        np.testing.assert_array_equal(found[1], bias[channels])


def test_everything_else_is_copied_and_the_original_stays(model):
    before = model.get_weights()
    sampled = sample_classes(model, [2], seed=3)
    assert [layer.name for layer in sampled.layers] == [layer.name for layer in model.layers]
    for layer in model.layers:
        if layer.name not in heads_of(model):
            assert sampled.get_layer(layer.name) is not layer or not layer.weights
            for a, b in zip(layer.get_weights(), sampled.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    assert sampled.name == model.name and mb.anchors_of(sampled) == mb.anchors_of(model)
    sampled.set_weights([w * 0 for w in sampled.get_weights()])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_logits_of_kept_classes_are_unchanged():
    model = small(5)
    x = images(model)
    old = model.predict(x, verbose=0)
    new = sample_classes(model, [4, 1]).predict(x, verbose=0)
    assert new.shape == (*old.shape[:2], 4 + 3)
    np.testing.assert_allclose(new, old[..., [0, 1, 2, 3, 4, 4 + 4, 4 + 1]], rtol=1e-5, atol=1e-5)
    assert np.abs(new[..., 5:]).max() > 0.1


def test_in_the_same_order_nothing_changes(detector):
    x = images(detector)
    sampled = sample_classes(detector, NAMES, class_names=NAMES)
    found = detector.predict(x, verbose=0)
    assert found[..., 1].max() > 0.2
    np.testing.assert_allclose(sampled.predict(x, verbose=0), found, rtol=1e-5, atol=1e-6)


def test_a_detector_keeps_its_options(detector):
    sampled = sample_classes(detector, [3])
    assert sampled.output_shape == (None, 7, 6)
    options = [
        next(layer for layer in m.layers if isinstance(layer, DecodeDetections)).get_config()
        for m in (detector, sampled)
    ]
    assert options[0] == options[1]
    assert set(np.unique(sampled.predict(images(sampled), verbose=0)[..., 0])) <= {0, 1}


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="jax compiles each initializer: more than a minute"
)
@pytest.mark.parametrize("build", [mb.SSD300, mb.SSDLite, SSDMobileNet])
def test_every_model(build):
    model = build(4)
    sampled = sample_classes(model, ["d", "new", "a"], class_names=list("abcd"), new=["new"], seed=1)
    assert sampled.output_shape == (*model.output_shape[:2], 4 + 4)
    heads = heads_of(model)
    assert len(heads) == len(mb.anchors_of(model).levels)
    for name, head in heads.items():
        kernel, bias = head.get_weights()
        found = [w.reshape(*w.shape[:-1], -1, 4) for w in sampled.get_layer(name).get_weights()]
        expected = [w.reshape(*w.shape[:-1], -1, 5) for w in (kernel, bias)]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a[..., [0, 1, 3]], b[..., [0, 4, 1]])
        # Fresh weights are spread like those of the original, whose heads are fresh as well.
        assert found[0][..., 2].std() == pytest.approx(kernel.std(), rel=0.2)


def test_fresh_heads_depend_on_the_seed_only(model):
    a, b, c = (
        sample_classes(model, ["cat", "owl"], class_names=NAMES, new=["owl"], seed=s) for s in (0, 0, 1)
    )
    kernels = [[head.get_weights()[0].reshape(-1, 3) for head in heads_of(m).values()] for m in (a, b, c)]
    for x, y, z in zip(*kernels, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(x[:, :2], z[:, :2])
        assert not np.array_equal(x[:, 2], z[:, 2])
    assert all(not head.get_weights()[1].reshape(-1, 3)[:, 2].any() for head in heads_of(a).values())


def test_a_known_name_in_new_begins_anew(model):
    kept, fresh = (sample_classes(model, ["cat", "dog"], class_names=NAMES, new=new) for new in ([], ["dog"]))
    for name in heads_of(model):
        a, b = (m.get_layer(name).get_weights()[1].reshape(-1, 3) for m in (kept, fresh))
        np.testing.assert_array_equal(a[:, :2], b[:, :2])
        assert a[:, 2].any() and not b[:, 2].any()


@pytest.mark.parametrize("names", [COCO_NAMES_BY_ID, COCO_NAMES_BY_ID[1:]])
def test_from_coco_to_voc_by_name(coco_model, names):
    voc = sample_classes(coco_model, mb.VOC_CLASSES, class_names=names)
    ids = [5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72]
    for name, head in heads_of(coco_model).items():
        old = head.get_weights()[1].reshape(-1, 91)
        np.testing.assert_array_equal(voc.get_layer(name).get_weights()[1].reshape(-1, 21), old[:, [0, *ids]])


def test_from_91_outputs_to_the_80_of_coco(coco_model):
    sampled = sample_classes(coco_model, COCO_CLASSES, class_names=COCO_NAMES_BY_ID)
    name, head = next(iter(heads_of(coco_model).items()))
    old = head.get_weights()[1].reshape(-1, 91)
    new = sampled.get_layer(name).get_weights()[1].reshape(-1, 81)
    np.testing.assert_array_equal(new[:, 1:], old[:, list(COCO_CATEGORY_IDS)])


def test_not_strict_takes_what_is_known(model):
    assert sample_classes(model, ["owl", "dog"], class_names=NAMES, strict=False).output_shape[-1] == 4 + 3
    with pytest.raises(ValueError, match="none of the classes owl, elk is known; the model has cat, dog, tv"):
        sample_classes(model, ["owl", "elk"], class_names=NAMES, strict=False)
    assert sample_classes(model, ["owl", "elk"], new=["elk", "owl"]).output_shape[-1] == 4 + 3


def test_a_subset_trains_a_step():
    model = small()
    model.compile(optimizer="sgd", loss=mb.SSDLoss())
    sampled = sample_classes(model, ["dog", "owl"], class_names=NAMES, new=["owl"])
    assert not sampled.compiled and model.compiled
    encoder = mb.GroundTruthEncoder(mb.anchors_of(sampled), 2, sparse=True)
    boxes = np.array([[0.1, 0.1, 0.6, 0.7], [0.4, 0.3, 0.9, 0.9]], np.float32)
    targets = np.stack([encoder(boxes, np.array([1, 2]))] * 2)
    sampled.compile(optimizer=keras.optimizers.SGD(1e-3), loss=mb.SSDLoss())
    before = sampled.get_weights()
    loss = sampled.train_on_batch(images(sampled), targets)
    assert np.isfinite(loss) and loss > 0
    head = next(iter(heads_of(sampled)))
    assert (
        any(not np.array_equal(a, b) for a, b in zip(before, sampled.get_weights(), strict=True))
        and np.isfinite(sampled.get_layer(head).get_weights()[0]).all()
    )


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_it_is_saved_and_loaded_and_sampled_again(tmp_path, mode):
    sampled = sample_classes(small(mode=mode), ["tv", "cat"], class_names=NAMES)
    sampled.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    x = images(sampled)
    found = sampled.predict(x, verbose=0)
    np.testing.assert_allclose(reloaded.predict(x, verbose=0), found, rtol=1e-5, atol=1e-6)
    again = sample_classes(reloaded, ["cat", "tvmonitor"], class_names=["tv", "cat"])
    for name in heads_of(sampled):
        old, new = (m.get_layer(name).get_weights()[1].reshape(-1, 3) for m in (sampled, again))
        np.testing.assert_array_equal(new, old[:, [0, 2, 1]])


def test_frozen_layers_stay_frozen():
    model = small()
    model.get_layer("conv1").trainable = False
    sampled = sample_classes(model, [1])
    assert not sampled.get_layer("conv1").trainable and sampled.get_layer("conv2").trainable


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ([], {}, "classes is empty"),
        ("cat", {"class_names": NAMES}, "classes must be a sequence"),
        (["cat"], {}, "class_names is needed to find 'cat'"),
        (["cat", "owl"], {"class_names": NAMES}, "does not know owl .* it has cat, dog, tv"),
        (["cat", "cat"], {"class_names": NAMES}, "'cat' occurs more than once"),
        (["tv", "tvmonitor"], {"class_names": NAMES}, "'tvmonitor' occurs more than once, first as 'tv'"),
        (["cat", 1], {"class_names": NAMES}, "1 occurs more than once, first as 'cat'"),
        (["owl", "owl"], {"new": ["owl"]}, "'owl' occurs more than once"),
        ([1, 0], {}, "ids from 1 to 3, got 0"),
        ([4], {}, "ids from 1 to 3, got 4"),
        ([True], {}, "each element a string or a whole number.* got list"),
        ([1.0], {}, "each element a string or a whole number"),
        ([None], {"class_names": NAMES}, "each element a string or a whole number"),
        ([1], {"new": ["owl"]}, "new: 'owl' is not among the classes 1"),
        (["cat"], {"class_names": ("cat", "dog")}, "expected 3 names, background not counted, got 2"),
        (["cat"], {"class_names": ("background", *NAMES)}, "expected 3 names, .* got 4"),
        (["cat"], {"class_names": ("cat", "cat", "dog")}, "class_names: 'cat' occurs more than once"),
        (["T-V"], {"class_names": ("tv", "tvmonitor", "cat")}, "'T-V' could be any of 'tv', 'tvmonitor'"),
    ],
)
def test_errors(model, classes, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sample_classes(model, classes, **options)


def test_a_model_without_multibox_is_refused():
    with pytest.raises(ValueError, match="has 0 MultiBox layers"):
        sample_classes(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), [1])


def test_a_head_of_another_kind_is_refused():
    anchors = mb.anchors.ssd7_anchors((64, 64))
    x = keras.Input((64, 64, 3))
    offsets, logits = [], []
    for level in anchors.levels:
        cells = keras.layers.Resizing(*level.grid)(x)
        offsets.append(keras.layers.Conv2D(len(level.sides) * 4, 1)(cells))
        logits.append(keras.layers.Dense(len(level.sides) * 3, name=f"head{len(logits)}")(cells))
    model = keras.Model(x, MultiBox(anchors, 2)(offsets, logits))
    with pytest.raises(ValueError, match="the class head 'head0' must be a Conv2D, got a Dense"):
        sample_classes(model, [1])


def test_a_saved_model(model, tmp_path):
    model.save(tmp_path / "detector.keras")
    from_file = sample_classes(tmp_path / "detector.keras", ["tv"], class_names=NAMES)
    for ours, theirs in zip(
        from_file.get_weights(), sample_classes(model, ["tv"], class_names=NAMES).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_names_come_from_the_model_and_go_to_the_new_one():
    model = small(class_names=NAMES)
    named = sample_classes(model, ["tvmonitor", "owl", 1], new=["owl"])
    assert mb.class_names_of(named) == ("tvmonitor", "owl", NAMES[0])
    by_list = sample_classes(small(), ["tv"], class_names=NAMES)
    assert mb.class_names_of(by_list) == ("tv",)
    assert mb.class_names_of(sample_classes(small(), [2, 1])) is None
    by_id = sample_classes(small(), [2, 1], class_names=(None, *NAMES))
    assert mb.class_names_of(by_id) == (NAMES[1], NAMES[0])
