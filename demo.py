"""The demo: trains SSD7 on the built-in `shapes` data set, which takes a few minutes on a CPU."""

import random
from pathlib import Path

from .anchors import ssd7_anchors
from .data_generator import Flip, SampleTransform, load_shapes
from .eval_utils import evaluate_voc, plot_detection_grid, plot_history, predict_dataset
from .models import SSD7
from .recipes import adam_with_cosine_decay
from .training import train

IMAGE_SIZE = (128, 128)
# Two to four strides of each level. The smallest shapes are about 0.1 of the image, the largest 0.6.
SCALES = (0.14, 0.24, 0.4, 0.64, 0.95)


def run_demo(output, num_train=2000, num_test=200, epochs=11, batch_size=16, seed=0):
    """Trains a detector, evaluates it and draws the results.

    Writes the files of `train` to `output`, and `detector.keras`, `loss.png`, `detections.png` and `ap.txt`.

    Args:
        output: path of the output folder, which must not contain an earlier run.
        num_train: number of training images.
        num_test: number of test images.
        epochs: number of passes over the training images.
        batch_size: images per step.
        seed: seed of weights and data.

    Returns:
        `VOCResult` on the test images.
    """
    output = Path(output)
    # Keras draws the seeds of initializers from here. Its set_random_seed imports TensorFlow on any backend.
    random.seed(seed)
    train_set, test_set = (
        load_shapes(num_train, IMAGE_SIZE, 2 * seed),
        load_shapes(num_test, IMAGE_SIZE, 2 * seed + 1),
    )
    model = SSD7(
        class_names=train_set.class_names, anchors=ssd7_anchors(IMAGE_SIZE, SCALES), weight_decay=1e-4
    )
    train(
        model,
        train_set,
        output,
        epochs=epochs,
        validation_data=test_set,
        optimizer=adam_with_cosine_decay(8e-3, epochs * -(-len(train_set) // batch_size)),
        batch_size=batch_size,
        augmentation=SampleTransform(IMAGE_SIZE, (Flip(),)),
        seed=seed,
    )
    model.save(output / "detector.keras")
    detections = predict_dataset(model, test_set)
    result = evaluate_voc(detections, test_set, metric="area")
    (output / "ap.txt").write_text(f"{result}\n", encoding="utf-8")
    plot_history(output / "history.csv").savefig(output / "loss.png", dpi=100)
    plot_detection_grid(test_set[:12], detections[:12]).savefig(output / "detections.png", dpi=100)
    return result
