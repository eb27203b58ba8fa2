"""What projects for torch call the layers of SSD300 and SSD512, by the names of ours."""

_VGG = (
    *("conv1_1 0", "conv1_2 2", "conv2_1 5", "conv2_2 7", "conv3_1 10", "conv3_2 12", "conv3_3 14"),
    *("conv4_1 17", "conv4_2 19", "conv4_3 21", "conv5_1 24", "conv5_2 26", "conv5_3 28", "fc6 31", "fc7 33"),
)
SOURCES = ("conv4_3_norm", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2", "conv10_2")


def _names(vgg, extras, loc, conf):
    names = {ours: vgg + place for ours, place in map(str.split, _VGG)}
    names |= {f"conv{6 + n // 2}_{1 + n % 2}": extra for n, extra in enumerate(extras)}
    sources = SOURCES[: 2 + len(extras) // 2]
    for i, source in enumerate(sources):
        names |= {f"{source}_mbox_loc": loc.format(i), f"{source}_mbox_conf": conf.format(i)}
    return names


SSD_PYTORCH = _names("vgg.", [f"extras.{n}" for n in range(8)], "loc.{}", "conf.{}")
# {project: (names of the layers, of the scale of conv4_3)}
PROJECTS = {
    "ssd.pytorch": (SSD_PYTORCH, "L2Norm.weight"),
    "pytorch-ssd": (
        _names(
            "base_net.",
            [f"extras.{block}.{place}" for block in range(4) for place in (0, 2)],
            "regression_headers.{}",
            "classification_headers.{}",
        ),
        "source_layer_add_ons.0.scale",
    ),
    "lufficc": (
        _names(
            "backbone.vgg.",
            [f"backbone.extras.{n}" for n in range(8)],
            "box_head.predictor.reg_headers.{}",
            "box_head.predictor.cls_headers.{}",
        ),
        "backbone.l2_norm.weight",
    ),
    "lufficc 512": (
        _names(
            "backbone.vgg.",
            [f"backbone.extras.{n}" for n in range(10)],
            "box_head.predictor.reg_headers.{}",
            "box_head.predictor.cls_headers.{}",
        ),
        "backbone.l2_norm.weight",
    ),
    "mmdetection": (
        _names(
            "backbone.features.",
            [f"neck.extra_layers.{block}.{i}.conv" for block in range(4) for i in (0, 1)],
            "bbox_head.reg_convs.{}.0",
            "bbox_head.cls_convs.{}.0",
        ),
        "neck.l2_norm.weight",
    ),
}
