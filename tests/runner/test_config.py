from pathlib import Path

import pytest

from multibox.runner.config import RunConfig, is_run_file, make_config, read_config


def written(tmp_path, text):
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_numbers_and_texts_of_a_file(tmp_path):
    file = written(tmp_path, "data: my_data\nepochs: 5\nmodel: ssd7\nsize: 96x128\nname: '007'\nval: null\n")
    config = read_config(file)
    assert config == RunConfig(data="my_data", epochs=5, model="ssd7", size="96x128", name="007")
    assert config.image_size == (96, 128)
    assert config.folder == Path("runs/007")


def test_what_is_written_reads_back(tmp_path):
    config = RunConfig(data="größe:train", epochs=3, weights="none", seed=7, output="out")
    assert read_config(written(tmp_path, config.to_yaml())) == config


def test_a_backbone_with_all_its_keys(tmp_path):
    text = (
        "data: a\nmodel: ssd\nbackbone: ResNet50\nsources: [8, conv4_block6_out]\nextras: [64]\nneck: fpn\n"
    )
    config = read_config(written(tmp_path, text))
    assert (config.sources, config.extras, config.neck) == ((8, "conv4_block6_out"), (64,), "fpn")
    assert read_config(written(tmp_path, config.to_yaml())) == config


def test_a_backbone_that_is_nearly_right(tmp_path):
    with pytest.raises(ValueError, match=r"; got 'efficientnetv2b0'; did you mean 'EfficientNetV2B0'\?"):
        read_config(written(tmp_path, "data: a\nmodel: ssd\nbackbone: efficientnetv2b0\n"))


@pytest.mark.parametrize(("text", "devices"), [("all", "all"), ("4", 4), ("'4'", 4), ("null", None)])
def test_devices(tmp_path, text, devices):
    config = read_config(written(tmp_path, f"data: my_data\ndevices: {text}\n"))
    assert config.devices == devices
    assert read_config(written(tmp_path, config.to_yaml())) == config


def test_changes_beat_the_file(tmp_path):
    file = written(tmp_path, "data: my_data\nepochs: 5\nseed: 3\n")
    assert read_config(file, epochs=7) == RunConfig(data="my_data", epochs=7, seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: a\nepoch: 5\n", "unknown key 'epoch'; did you mean 'epochs'?; there are data, val"),
        ("epochs: 5\n", "no data; expected the path of a data set"),
        ("data: a\nepochs: many\n", "epochs: Expected `int | null`, got `str`"),
        ("data: a\nepochs: 0\n", "epochs: Expected `int` >= 1"),
        ("data: a\ndevices: 0\n", "devices: Expected `int` >= 1"),
        ("data: a\ndevices: both\n", "devices: Invalid enum value 'both'"),
        ("data: a\nrecipe: sgd\n", "recipe: Invalid enum value 'sgd'"),
        ("data: a\nsize: 300\n", "size: expected HEIGHTxWIDTH such as 300x300, got '300'"),
        ("data: a\nname: ../b\n", "name: expected letters, digits, -, _ and dots, got '../b'"),
        ("- a\n", "expected keys and values"),
        ("data: a\nbackbone: ResNet50\n", "backbone: of ssd-mobilenet one of mobilenet_v1, mob"),
        (
            "data: a\nmodel: ssd7\nbackbone: ResNet50\n",
            "backbone: ssd7 has its own; for one of keras.applica",
        ),
        ("data: a\nmodel: ssd\n", "backbone: of ssd one of MobileNet, MobileNetV2, "),
        (
            "data: a\nmodel: ssdlite\nbackbone: ResNet50\n",
            "backbone: of ssdlite one of mobilenet_v3_large, mo",
        ),
        ("data: a\nhead: conv\n", "head: only with model: ssd, got model: ssd-mobilenet"),
        ("data: a\nneck: bifpn\n", "neck: Invalid enum value 'bifpn'"),
        ("data: a\nbox_loss: iou\n", "box_loss: Invalid enum value 'iou'"),
    ],
)
def test_what_a_file_must_not_hold(tmp_path, text, message):
    file = written(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_config(file)
    assert str(error.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        ("my_data", "runs/my_data"),
        ("/data/birds/", "runs/birds"),
        ("birds:train", "runs/birds-train"),
        ("birds/data.yaml", "runs/birds-data"),
        ("..", "runs/run"),
    ],
)
def test_the_folder_is_named_after_the_data(data, folder):
    assert make_config({"data": data}, "x").folder == Path(folder)


def test_a_backbone_of_another_network_leads_to_ssd():
    for values, message in (
        (
            {"backbone": "resnet50"},
            r"got 'resnet50'; did you mean 'ResNet50'\?; for one of keras.*add model: ssd",
        ),
        (
            {"backbone": "mobilenetv3large"},
            r"did you mean 'MobileNetV3Large'\?; for one of keras.*model: ssd",
        ),
        ({"model": "ssd", "backbone": "resnet50"}, r"got 'resnet50'; did you mean 'ResNet50'\?$"),
    ):
        with pytest.raises(ValueError, match=message):
            make_config({"data": "a", **values}, "x")
    assert make_config({"data": "a", "model": "ssd_mobilenet", "backbone": "mobilenet_v2"}, "x").backbone


def test_a_file_that_describes_a_run_is_no_data_set(tmp_path):
    assert is_run_file(str(written(tmp_path, "data: my_data\n")))
    assert not is_run_file(str(written(tmp_path, "names: [dog]\ntrain: images\n")))  # YOLO
    assert not is_run_file(str(tmp_path))
    assert not is_run_file(str(tmp_path / "none.yaml"))
