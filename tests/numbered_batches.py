"""Batches that say which image is where."""

import keras
import numpy as np


class NumberedBatches(keras.utils.PyDataset):
    """Batches of some sizes, of images whose pixels are their numbers, with targets of some columns."""

    def __init__(self, *sizes, columns=5):
        super().__init__()
        self.sizes = sizes
        self.columns = columns

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, batch):
        size = self.sizes[batch]
        images = np.arange(size, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
        return images, np.ones((size, 5, self.columns), np.float32)
