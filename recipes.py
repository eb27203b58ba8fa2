"""Optimizers with the learning rate schedules of the published trainings."""

import keras


def paper_sgd(learning_rate=1e-3, boundaries=(80_000, 100_000)):
    """SGD of the paper for VOC 07+12 (section 3.1): batch 32, 120,000 steps.

    Args:
        learning_rate: of the first stage; divided by 10 at each boundary.
        boundaries: steps.
    """
    rates = [learning_rate / 10**stage for stage in range(len(boundaries) + 1)]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(list(boundaries), rates)
    return keras.optimizers.SGD(schedule, momentum=0.9)


def torchvision_ssdlite_sgd(steps, batch_size, warmup_steps=1000):
    """SGD of torchvision's SSDLite from scratch: linear warm-up, then a cosine down to zero.

    Args:
        steps: of the whole training (torchvision: 660 epochs of COCO).
        batch_size: torchvision's learning rate 0.15 is for 192 images, and is scaled to this.
        warmup_steps: from a thousandth of the rate to all of it.
    """
    rate = 0.15 * batch_size / 192
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 1000, max(1, steps - warmup_steps), warmup_target=rate, warmup_steps=warmup_steps
    )
    return keras.optimizers.SGD(schedule, momentum=0.9)


def adam_with_cosine_decay(learning_rate, steps):
    """Adam with a linear warm-up over a twentieth of the steps and a cosine decay to nearly nothing.

    For short trainings on small data.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 10,
        steps,
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=max(1, steps // 20),
    )
    return keras.optimizers.Adam(schedule)
