"""Detections of a whole data set as files in the formats of other tools."""
