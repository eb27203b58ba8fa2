"""Writes NETWORK.npz: outputs of the MobileNet SSDs of projects for torch at a few anchors, see ../README.md.

PYTHONPATH=tests:PROJECT python tests/golden/torch_mobilenets/make_outputs.py pytorch_ssd

Or `lufficc`: PROJECT is a clone of qfgaohao/pytorch-ssd or of lufficc/SSD. Or `mmdetection`, with the package
mmdet 3.3. The weights are drawn by tests/drawn_weights.py.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from drawn_weights import drawn_picture, drawn_weight

OUTPUTS = 3  # background and two classes


def pytorch_ssd():
    from vision.ssd.config.mobilenetv1_ssd_config import image_mean, image_std, priors
    from vision.ssd.mobilenet_v2_ssd_lite import create_mobilenetv2_ssd_lite
    from vision.ssd.mobilenetv1_ssd import create_mobilenetv1_ssd
    from vision.ssd.mobilenetv1_ssd_lite import create_mobilenetv1_ssd_lite

    image = (drawn_picture(300, 300).astype(np.float64) - image_mean) / image_std
    yield "mb1_ssd", create_mobilenetv1_ssd(OUTPUTS), image, priors
    yield "mb1_ssd_lite", create_mobilenetv1_ssd_lite(OUTPUTS), image, priors
    yield "mb2_ssd_lite", create_mobilenetv2_ssd_lite(OUTPUTS), image, priors


def lufficc():
    from ssd.modeling.anchors.prior_box import PriorBox
    from ssd.modeling.backbone.mobilenet import MobileNetV2
    from ssd.modeling.box_head.box_predictor import SSDLiteBoxPredictor

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = MobileNetV2()
            self.box_head = torch.nn.Module()
            self.box_head.predictor = SSDLiteBoxPredictor(config)

        def forward(self, x):
            return self.box_head.predictor(self.backbone(x))

    # configs/mobilenet_v2_ssd320_voc0712.yaml, over ssd/config/defaults.py
    priors = SimpleNamespace(
        FEATURE_MAPS=[20, 10, 5, 3, 2, 1],
        STRIDES=[16, 32, 64, 100, 150, 300],
        MIN_SIZES=[60, 105, 150, 195, 240, 285],
        MAX_SIZES=[105, 150, 195, 240, 285, 330],
        ASPECT_RATIOS=[[2, 3]] * 6,
        BOXES_PER_LOCATION=[6] * 6,
        CLIP=True,
    )
    backbone = SimpleNamespace(OUT_CHANNELS=(96, 1280, 512, 256, 256, 64))
    config = SimpleNamespace(
        INPUT=SimpleNamespace(IMAGE_SIZE=320),
        MODEL=SimpleNamespace(NUM_CLASSES=OUTPUTS, PRIORS=priors, BACKBONE=backbone),
    )
    image = drawn_picture(320, 320) - np.array([123.0, 117.0, 104.0])
    yield "mobilenet_v2_ssd320", Detector(), image, PriorBox(config)()


def mmdetection():
    import mmdet.models
    from mmengine import Config
    from mmengine.registry import init_default_scope

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mmdet.registry.MODELS.build(config)

        def state_dict(self):
            return self.inner.state_dict()

        def load_state_dict(self, state, strict):
            return self.inner.load_state_dict(state, strict)

        def forward(self, x):
            maps = self.inner.bbox_head(self.inner.extract_feat(x))
            return [
                torch.cat([one.permute(0, 2, 3, 1).reshape(1, -1, numbers) for one in outputs], 1)
                for outputs, numbers in zip(maps, (OUTPUTS, 4), strict=True)
            ]

    init_default_scope("mmdet")
    folder = Path(mmdet.__file__).parent / ".mim" / "configs" / "ssd"
    config = Config.fromfile(folder / "ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py").model
    config.bbox_head.num_classes = OUTPUTS - 1
    preprocessor = config.pop("data_preprocessor")
    image = (drawn_picture(320, 320) - np.array(preprocessor.mean)) / np.array(preprocessor.std)
    detector = Detector()
    generator = detector.inner.bbox_head.prior_generator
    anchors = torch.cat(generator.grid_priors([(n, n) for n in (20, 10, 5, 3, 2, 1)], device="cpu"))
    centers, sides = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    yield "ssdlite_mobilenetv2", detector, image, torch.cat([centers, sides], 1) / 320


def main():
    networks = {function.__name__: function for function in (pytorch_ssd, lufficc, mmdetection)}
    for name, network, image, priors in networks[sys.argv[1]]():
        shapes = {key: tuple(x.shape) for key, x in network.state_dict().items() if x.ndim}
        drawn = {key: torch.from_numpy(drawn_weight(key, shape)) for key, shape in shapes.items()}
        network.load_state_dict(drawn, strict=False)
        network.eval().double()  # whose rounding does not grow
        with torch.no_grad():
            logits, offsets = network(torch.from_numpy(image).permute(2, 0, 1)[None])
        # Some anchors of each level, the last ones included.
        places = np.unique([*range(0, len(priors), 37), *range(len(priors) - 20, len(priors))])
        np.savez_compressed(
            Path(__file__).with_name(f"{name}.npz"),
            names=list(shapes),
            shapes=[str(shape) for shape in shapes.values()],
            places=places,
            priors=priors.numpy()[places],
            logits=logits[0, places],
            offsets=offsets[0, places],
        )


if __name__ == "__main__":
    main()
