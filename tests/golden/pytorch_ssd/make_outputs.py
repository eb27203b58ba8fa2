"""Writes NETWORK.npz: outputs of pytorch-ssd's networks at a few anchors, see ../README.md.

PYTHONPATH=tests:PYTORCH_SSD python tests/golden/pytorch_ssd/make_outputs.py

PYTORCH_SSD is a clone of qfgaohao/pytorch-ssd. The weights are drawn by tests/drawn_weights.py.
"""

from pathlib import Path

import numpy as np
import torch
from drawn_weights import drawn_picture, drawn_weight
from vision.ssd.config.mobilenetv1_ssd_config import image_mean, image_std, priors
from vision.ssd.mobilenet_v2_ssd_lite import create_mobilenetv2_ssd_lite
from vision.ssd.mobilenetv1_ssd import create_mobilenetv1_ssd
from vision.ssd.mobilenetv1_ssd_lite import create_mobilenetv1_ssd_lite

NETWORKS = {
    "mb1-ssd": create_mobilenetv1_ssd,
    "mb1-ssd-lite": create_mobilenetv1_ssd_lite,
    "mb2-ssd-lite": create_mobilenetv2_ssd_lite,
}
OUTPUTS = 3  # background and two classes
# Some anchors of each level, the last ones included.
PLACES = np.unique([*range(0, 3000, 37), *range(2980, 3000)])


def main():
    image = (drawn_picture(300, 300).astype(np.float64) - image_mean) / image_std
    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    for name, create in NETWORKS.items():
        network = create(OUTPUTS).eval()
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if tensor.ndim}
        drawn = {key: torch.from_numpy(drawn_weight(key, shape)) for key, shape in shapes.items()}
        network.load_state_dict(drawn, strict=False)
        network.double()  # whose rounding does not grow
        with torch.no_grad():
            logits, offsets = network(x)
        np.savez_compressed(
            Path(__file__).with_name(f"{name}.npz"),
            names=list(shapes),
            shapes=[str(shape) for shape in shapes.values()],
            places=PLACES,
            priors=priors.numpy()[PLACES],
            logits=logits[0, PLACES],
            offsets=offsets[0, PLACES],
        )


if __name__ == "__main__":
    main()
