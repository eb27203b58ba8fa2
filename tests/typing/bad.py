"""Typical mistakes of a user: a type checker must find one in each line marked `# error`. It is never run."""
# ruff: noqa: B018

import multibox as mb

data = mb.load_voc("my_data", "train")
data.clas_names  # error
data[0].image_idd  # error
data[:5].boxes  # error
data.splt(0.5)  # error
mb.load_voc("my_data", 2007)  # error
mb.load_cocoo("instances.json", "images")  # error
mb.load_coco("instances.json", "images", clases=["cat"])  # error
mb.ssd_augmentatoin((300, 300))  # error
mb.ssd_augmentation(300)  # error
mb.labels  # error
mb.check_dataset("my_data")  # error
mb.check_dataset(data).is_claen  # error

model = mb.SSD300(20)
mb.SSD300(num_clases=20)  # error
mb.SSD512("twenty")  # error
mb.pretrained("ssd300_coco", clas_names=["cat"])  # error
mb.SSD7(3, mode="train")  # error
mb.SSD7(3, mode="inference", max_detection=50)  # error
mb.SSDLite(3, (320, 320))  # error
mb.SSDMobileNet(90, alhpa=0.75)  # error
mb.anchors_of(model).num_anchor  # error
mb.anchors.SSD301_VOC  # error
mb.sample_classes(model, ["dog"], neu=["dog"])  # error
mb.load_weights(model, "a.caffemodel", channel_order="grb")  # error

mb.train(model, data, epochs=20)  # error
mb.train(model, data, "runs/mine", epochs=20, validation=data)  # error
mb.DataGenerator(data, 16)  # error
mb.DataGenerator(data, 16, mb.ssd_augmentation(), on_error="ignore")  # error
mb.recipes.adam_with_cosine(1e-3, 10)  # error

found = mb.detect(model, mb.read_image("street.jpg"))
found.score  # error
found.plot().save("street.png")  # error
mb.detect(model, "street.jpg", min_scor=0.5)  # error
mb.evaluate_voc([], data, metric="12_point")  # error
mb.evaluate_voc([], data).mAP  # error
