"""A callback that measures mean average precision while a model trains."""

from __future__ import annotations

import math
import warnings

import keras

from ..arguments import checked
from ..data_generator import DetectionDataset
from ..data_generator.class_order import align_classes
from ..eval_utils import evaluate_coco, predict_dataset
from ..limits import BATCH_SIZE
from ..models.detector import class_names_of, is_detector, num_classes_of
from . import processes

# Names in the logs: mean AP over the IoU thresholds 0.5 to 0.95, and AP at IoU 0.5.
MAP, MAP50 = "val_map", "val_map50"


class MeanAveragePrecision(keras.callbacks.Callback):
    """Adds COCO's mean average precision on a data set to the logs of an epoch.

    | name | what |
    |---|---|
    | `val_map` | mean over the IoU thresholds 0.5, 0.55, ..., 0.95 |
    | `val_map50` | at IoU 0.5 |
    | `val_map/dog` | with `per_class=True`, for each class |

    Callbacks that come later see them: `CSVLogger`, `TensorBoard`, `ModelCheckpoint`, `EarlyStopping` and
    `ReduceLROnPlateau`, which need `mode="max"`. `train` uses this callback itself for its validation data.

    The weights are those that the model has at the end of the epoch. To measure averaged weights in a plain
    `fit`, put `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` before this callback; `train` does so.

    Example:

    ```python
    callbacks = [
        mb.MeanAveragePrecision(validation),
        keras.callbacks.ModelCheckpoint("best.keras", "val_map", mode="max", save_best_only=True),
    ]
    model.fit(batches, epochs=10, callbacks=callbacks)
    ```

    Args:
        dataset: a `DetectionDataset` with the model's classes.
        every: number of epochs from one measurement to the next. The first epoch of a `fit` and the last one
            are always measured. In the others the numbers are NaN, which `EarlyStopping` and others count as
            epochs without a rise.
        per_class: whether the logs also get the AP of each class.
        batch_size: images per batch.

    Raises:
        TypeError, ValueError: for arguments of another kind, a data set without images, and, before the first
            epoch, one without the model's classes.
    """

    # What a resumed run does not need.
    not_kept = ("dataset",)

    @checked(every=1, batch_size=BATCH_SIZE)
    def __init__(
        self, dataset: DetectionDataset, *, every: int = 1, per_class: bool = False, batch_size: int = 8
    ):
        super().__init__()
        if not len(dataset):
            raise ValueError("MeanAveragePrecision: the data set has no images")
        self.dataset = dataset
        self.every = every
        self.per_class = per_class
        self.batch_size = batch_size
        self._is_first = True

    def set_model(self, model):
        super().set_model(model)
        if is_detector(model):
            raise ValueError("MeanAveragePrecision: the model is built for inference, and cannot be trained")

        if (classes := num_classes_of(model)) != self.dataset.num_classes:
            raise ValueError(
                f"MeanAveragePrecision: the model has {classes} classes, the data set "
                f"{self.dataset.name} has {self.dataset.num_classes}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another order is no mistake
            align_classes(self.dataset, class_names_of(model), "MeanAveragePrecision")

    def on_train_begin(self, logs=None):
        self._is_first = True

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        # Callbacks of Keras take the first number that they see as the best one, and nothing rises above NaN.
        is_due = self._is_first or (epoch + 1) % self.every == 0 or epoch + 1 == self.params.get("epochs")
        self._is_first = False
        not_measured = dict.fromkeys(self._names(), math.nan)
        logs.update(processes.of_first(self._numbers) if is_due else not_measured)

    def _names(self):
        names = [MAP, MAP50]
        return [*names, *(f"{MAP}/{name}" for name in self.dataset.class_names)] if self.per_class else names

    def _numbers(self):
        with warnings.catch_warnings():
            # A model that has just begun finds nothing, which is no reason to look for a mistake.
            warnings.filterwarnings("ignore", message="evaluate_coco: ")
            found = predict_dataset(self.model, self.dataset, self.batch_size, progress=False)
            result = evaluate_coco(found, self.dataset, ignore_difficult=True)
        values = [result.numbers["AP"], result.numbers["AP50"]]
        if self.per_class:
            values += [result.classes[name].numbers["AP"] for name in self.dataset.class_names]
        return dict(zip(self._names(), values, strict=True))
