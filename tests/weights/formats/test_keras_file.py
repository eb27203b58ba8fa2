"""Keras' files by layer name: today's formats, and those of Keras 2 written here in their layout."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import keras2

from multibox.weights.formats.keras_file import read_keras


@pytest.fixture(scope="module")
def model():
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(5, 1, use_bias=False, name="another")(keras.layers.ReLU(name="relu")(x))
    model = keras.Model(image, keras.layers.DepthwiseConv2D(3, name="last")(x), name="small")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.standard_normal(w.shape) for w in layer.get_weights()])
    return model


def assert_all_layers(layers, model):
    expected = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    assert set(layers) == set(expected)
    for name, arrays in expected.items():
        assert len(layers[name]) == len(arrays)
        for array, value in zip(layers[name], arrays, strict=True):
            np.testing.assert_array_equal(array, value)
            assert array.dtype == np.float32


@pytest.mark.parametrize("name", ["x.keras", "x.weights.h5", "x.h5"])
def test_what_keras_writes(tmp_path, model, name):
    path = tmp_path / name
    (model.save_weights if "weights" in name else model.save)(path)
    renamed = path.rename(tmp_path / "name without meaning")
    assert_all_layers(read_keras(renamed), model)


def test_a_model_that_was_trained(tmp_path, model):
    trained = keras.models.clone_model(model)
    trained.compile("adam", "mse")
    trained.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 4, 4, 5)), verbose=0)
    trained.save(tmp_path / "x.keras")
    assert_all_layers(read_keras(tmp_path / "x.keras"), trained)


def test_layers_within_layers(tmp_path, model):
    image = keras.Input((8, 8, 3))
    outer = keras.Model(image, keras.layers.Conv2D(2, 1, name="head")(model(image)))
    outer.save(tmp_path / "x.keras")
    layers = read_keras(tmp_path / "x.keras")
    np.testing.assert_array_equal(layers.pop("head")[0], outer.get_layer("head").get_weights()[0])
    assert_all_layers(layers, model)


def test_half_precision_is_read_as_float32(tmp_path):
    for dtype in ("float16", "bfloat16", "float64"):
        layer = keras.layers.Dense(3, dtype=dtype, name="dense")
        half = keras.Sequential([keras.Input((2,)), layer])
        half.save_weights(tmp_path / "x.weights.h5")
        kernel = read_keras(tmp_path / "x.weights.h5")["dense"][0]
        np.testing.assert_array_equal(kernel, np.asarray(layer.get_weights()[0], np.float32))
        assert kernel.dtype == np.float32


# Keras 2 ------------------------------------------------------------------------------------------------


def two_layers():
    rng = np.random.default_rng(0)
    names = ("kernel:0", "bias:0")
    shapes = {"conv1_1": ((3, 3, 3, 4), (4,)), "conv1_2": ((3, 3, 4, 2), (2,))}
    layers = {
        layer: {
            f"{layer}/{n}": rng.standard_normal(s).astype(np.float32)
            for n, s in zip(names, sizes, strict=True)
        }
        for layer, sizes in shapes.items()
    }
    return {"input_1": {}, **layers}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inside": "model_weights"},
        {"encode": str},
        {"chunks": 1},
        {"compression": "gzip"},
    ],
)
def test_layouts_of_keras_2(tmp_path, options):
    layers = two_layers()
    read = read_keras(keras2(tmp_path / "x.h5", layers, **options))
    assert set(read) == {"conv1_1", "conv1_2"}
    for name, arrays in read.items():
        for array, value in zip(arrays, layers[name].values(), strict=True):
            np.testing.assert_array_equal(array, value)


def changed(path, change):
    keras2(path, two_layers())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def shrink(file):
    del file["conv1_1/conv1_1/kernel:0"]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    space = h5py.h5s.create_simple((1 << 20, 1 << 10))
    h5py.h5d.create(file["conv1_1/conv1_1"].id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, plist)


def large(file):
    del file["conv1_1/conv1_1/kernel:0"]
    file["conv1_1/conv1_1"].create_dataset("kernel:0", (1 << 20, 1 << 12), "f4", chunks=(64, 64))


def sparse(file):
    """256 MB of which nothing is stored."""
    del file["conv1_1/conv1_1/kernel:0"]
    file["conv1_1/conv1_1"].create_dataset("kernel:0", (1 << 10, 1 << 16), "f4", chunks=(64, 64))


def many_sparse(file):
    """Each array less than 20 times the file, but not all of them."""
    names = [f"x{i}" for i in range(12)]
    for name in names:
        file["conv1_1"].create_dataset(name, (1 << 14,), "i1", chunks=(64,))
    file["conv1_1"].attrs["weight_names"] = names


def many_names(file):
    """One array under many names."""
    del file["conv1_1/conv1_1/kernel:0"]
    kernel = file["conv1_1/conv1_1"].create_dataset("kernel:0", data=np.ones((64, 64), "f4"))
    names = [f"x{i}" for i in range(100)]
    for name in names:
        file["conv1_1"][name] = kernel
    file["conv1_1"].attrs["weight_names"] = names


def large_chunk(file):
    """A chunk is unfolded whole, also where the array is only its corner."""
    del file["conv1_1/conv1_1/bias:0"]
    file["conv1_1/conv1_1"].create_dataset("bias:0", (4,), "f4", chunks=(1 << 24,), maxshape=(None,))


def link(target):
    def change(file):
        del file["conv1_1"]
        file["conv1_1"] = target

    return change


def replace_kernel(value):
    def change(file):
        del file["conv1_1/conv1_1/kernel:0"]
        file["conv1_1/conv1_1/kernel:0"] = value

    return change


def other_file(file):
    del file["conv1_1/conv1_1/kernel:0"]
    file["conv1_1/conv1_1"].create_dataset("kernel:0", (4,), "f4", external=[("/etc/hostname", 0, 16)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("conv1_1"), "no 'conv1_1' in group /"),
        (lambda f: f.__delitem__("conv1_1/conv1_1/bias:0"), "no 'conv1_1/bias:0' in group /conv1_1"),
        (lambda f: f["conv1_1"].attrs.__delitem__("weight_names"), "without the attribute weight_names"),
        (lambda f: f.attrs.__delitem__("layer_names"), 'neither "layers"'),
        (lambda f: f.attrs.__setitem__("layer_names", [b"a", b"a"]), "repeat"),
        (lambda f: f.attrs.__setitem__("layer_names", []), "no layer with weights"),
        (lambda f: f.attrs.__setitem__("layer_names", 3), "Keras weights"),
        (shrink, "4294967296|0 bytes for it"),
        (large, "bytes for it"),
        (sparse, r"arrays of 268435456 bytes or more.* in a file of \d{4,5} bytes"),
        (many_sparse, "arrays of .* bytes or more"),
        (many_names, r"arrays of .* bytes or more in .*counted up to /conv1_1/x\d+ of shape \(64, 64\)"),
        (large_chunk, "arrays of 67108864 bytes or more"),
        (link(h5py.ExternalLink("other.h5", "/")), "a link to another place"),
        (link(h5py.SoftLink("/conv1_2")), "a link to another place"),
        (other_file, "kept in another file"),
        (replace_kernel("text"), "an array of type text"),
        (
            lambda f: f.__setitem__("conv1_1/conv1_1/x", 1.0) or link(f["conv1_2/conv1_2/bias:0"])(f),
            "no group",
        ),
    ],
)
def test_errors_name_the_file_and_the_fault(tmp_path, change, message):
    path = changed(tmp_path / "x.h5", change)
    with pytest.raises(ValueError, match=message) as error:
        read_keras(path)
    assert str(error.value).startswith(f"{path}: expected Keras weights, found")
    assert "\n" not in str(error.value)


def test_weights_that_compress_well_are_read(tmp_path):
    rng = np.random.default_rng(0)
    kernel = rng.integers(0, 3, (300, 400)).astype(np.float32)
    path = keras2(tmp_path / "x.h5", {"dense": {"kernel:0": kernel}}, compression="gzip", compression_opts=9)
    assert kernel.nbytes > 8 * path.stat().st_size
    np.testing.assert_array_equal(read_keras(path)["dense"][0], kernel)


HOSTILE = "a\nERROR: all is well\x1b[31m" + "x" * 10_000


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.attrs.__setitem__("layer_names", [HOSTILE]),
        lambda f: f["conv1_1"].attrs.__setitem__("weight_names", [HOSTILE]),
        lambda f: f.attrs.__delitem__("layer_names") or f.create_group(HOSTILE[:20_000]),
        lambda f: f.move("conv1_1", HOSTILE) or f.attrs.__setitem__("layer_names", [HOSTILE]) or inside(f),
        lambda f: replace_kernel(np.zeros(2, [(HOSTILE[:200], "f4")]))(f),
    ],
)
def test_messages_stay_one_short_line_whatever_the_names(tmp_path, change):
    path = changed(tmp_path / "x.h5", change)
    with pytest.raises(ValueError, match="expected Keras weights") as error:
        read_keras(path)
    message = str(error.value).removeprefix(str(path))
    assert message.isascii() and message.isprintable() and len(message) < 400


def inside(file):
    del file[HOSTILE].attrs["weight_names"]


def test_names_of_keras_3_in_messages(tmp_path, model):
    path = tmp_path / "x.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        for group in ("conv2d", "conv2d_1"):
            file[f"layers/{group}/vars"].attrs["name"] = HOSTILE
    with pytest.raises(ValueError, match=r"two layers 'a\\nERROR: all is well\\x1b\[31mx+\.\.\.'$"):
        read_keras(path)


def test_an_archive_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(50_000_000))
    with pytest.raises(ValueError, match="50000000 bytes"):
        read_keras(path)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_keras(tmp_path / "x.h5")


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5"])
def test_damaged_files_are_refused_or_read(tmp_path, model, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "h5":
        keras2(path, two_layers())
    else:
        (model.save_weights if "weights" in kind else model.save)(path)
    data = path.read_bytes()
    path.unlink()
    path, memory = tmp_path / "damaged", 16 << 20
    cut = cut_off(data, 40)
    assert refused_or_read(read_keras, path, cut, memory) == len(cut)
    assert refused_or_read(read_keras, path, flipped(data, 150), memory) > 10


def test_a_file_without_names_says_what_to_do(tmp_path, model):
    path = tmp_path / "x.weights.h5"
    model.save_weights(path)
    buffer = io.BytesIO(path.read_bytes())
    with h5py.File(buffer, "r+") as file:
        del file["layers/conv2d/vars"].attrs["name"]
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="without the layer's name"):
        read_keras(path)
