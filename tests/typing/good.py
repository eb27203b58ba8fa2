"""Typical code of a user, in which a type checker must find nothing; it is never run."""

import keras
import numpy as np
from typing_extensions import assert_type

import multibox as mb

# Data sets.
data = mb.load_voc("my_data", "train")
devkit = mb.load_voc("VOCdevkit", [("2007", "trainval"), ("2012", "trainval")], mb.VOC_CLASSES)
coco = mb.load_coco("instances.json", "images", classes=("cat", "dog"))
both = mb.load_csv("boxes.csv", "images") + mb.load_yolo("data.yaml", "val")
train_set, test_set = data.split(0.8, seed=1)
assert_type(train_set, mb.DetectionDataset)
assert_type(data[0], mb.Record)
assert_type(data[:10], mb.DetectionDataset)
assert_type(data.class_names, tuple[str, ...])
assert_type(data.class_counts(), dict[str, int])
for record in data.subset(["cat"], exclude_difficult=True):
    print(record.image_id, record.boxes[:, 2] - record.boxes[:, 0], record.difficult[0])
mine = mb.DetectionDataset(
    ["cat"], [mb.Record("a", "a.jpg", 64, 48, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))]
)
mb.save_coco(data, "out.json", "images", category_ids=mb.coco_categories("instances.json"))
mb.save_voc(data, "out", images="link")
mb.create_hdf5_dataset(data, "data.h5", decoded=True)
assert_type(mb.load_hdf5("data.h5"), mb.DetectionDataset)
assert_type(mb.load_shapes(8, (96, 96), seed=3), mb.DetectionDataset)

problems = mb.check_dataset({"train": train_set, "val": test_set}, anchors="ssd300", output="report")
assert_type(problems.is_clean, bool)
print(problems, [finding.message for finding in problems.findings])

# Models.
model = mb.SSD300(class_names=data.class_names, weights="imagenet")
assert_type(model, keras.Model)
detector = mb.SSD7(3, mode="inference", image_size=(128, 128), max_detections=50, class_agnostic=True)
mb.SSDLite(90, weights="coco")
assert_type(mb.pretrained("ssd_mobilenet_coco", class_names=data.class_names), keras.Model)
mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, weights="coco")
mb.SSD512(20, anchors=mb.anchors.SSD512_VOC_CAFFE, weight_decay=0.0)
assert_type(mb.anchors_of(model), mb.AnchorSpec)
assert_type(mb.anchors_of(model).num_anchors, int)
assert_type(mb.class_names_of(model), tuple[str | None, ...] | None)
small = mb.sample_classes(model, ["dog", "llama"], new=["llama"])
report = mb.load_weights(model, "old.caffemodel", strict=False, channel_order="bgr")
print(report, report.skipped.items())

# Training.
history = mb.train(model, train_set, "runs/mine", epochs=20, validation_data=test_set)
print(min(history.history["val_loss"]))
optimizer = mb.recipes.adam_with_cosine_decay(1e-3, steps=1000)
transform = mb.SampleTransform((300, 300), fill=(0, 0, 0))
mb.train(model, data, "runs/more", epochs=5, optimizer=optimizer, augmentation=transform, batch_size=8)
encoder = mb.GroundTruthEncoder(model, positive_iou=0.6)
batches = mb.DataGenerator(data, 16, mb.ssd_augmentation((300, 300)), encoder, workers=2, on_error="skip")
loss = mb.SSDFocalLoss(gamma=2.0, alpha=0.25, localization_weight=1.0)
model.compile(optimizer=optimizer, loss=loss, metrics=loss.metrics())
model.fit(batches, epochs=1, shuffle=False)
targets = encoder(np.zeros((1, 4)), np.ones(1, int))
assert_type(mb.loss_of(model), mb.SSDLoss)

# Detections.
image = mb.read_image("street.jpg")
found = mb.detect(model, image, min_score=0.3)
assert_type(found, mb.Detections)
assert_type(mb.detect(model, [image, "b.jpg"]), list[mb.Detections])
for name, score, (xmin, ymin, xmax, ymax), class_id in found["dog"]:
    print(name, score, xmax - xmin, ymax - ymin, class_id + 1)
found.plot().savefig("street.png")
mb.detect(model, "street.jpg").plot().savefig("street.png")
for each in mb.detect("runs/mine/best.keras", "folder"):
    each.plot().savefig("x.png")
rows = mb.predict_dataset(mb.to_inference(model, confidence_threshold=0.1), test_set, progress=False)
result = mb.evaluate_voc(rows, test_set, metric="area")
assert_type(result.mean_average_precision, float)
print(result, result.classes["dog"].average_precision)
coco = mb.evaluate_coco(rows, test_set)
assert_type(coco.numbers, dict[str, float])
assert_type(coco.best_f1()["dog"].score, float)
mb.plot_scores(coco).savefig("scores.png")
mb.plot_detection_grid(test_set[:8], rows[:8], columns=2).savefig("grid.png")
mb.plot_samples(data[:3], mb.ssd_augmentation()).savefig("samples.png")
mb.plot_history("runs/mine/history.csv").savefig("loss.png")
mb.plot_precision_recall(result).savefig("curves.png")
pixels = mb.to_pixels(rows[0], 640, 480)
