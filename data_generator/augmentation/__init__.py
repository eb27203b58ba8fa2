"""Augmentation: a `View` moves over the image, `render` draws it once, photometric distortion follows."""
