"""The published SSD MobileNet on Pascal VOC, which several benchmarks run."""

import argparse

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID


def parser(text, *, needs_voc=True):
    """Arguments of a benchmark with this help."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--weights", default="coco", help="the COCO detector's file")
    made.add_argument("--voc", required=needs_voc, help="folder that holds VOC2007")
    made.add_argument("--set", default="val", help="image set of VOC2007")
    return made


def model_and_images(args, count):
    """The detector with the classes of VOC, and the first images of the set."""
    coco = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, weights=args.weights)
    model = mb.sample_classes(coco, mb.VOC_CLASSES, class_names=COCO_NAMES_BY_ID)
    return model, mb.load_voc(args.voc, [("2007", args.set)], progress=False)[:count]
