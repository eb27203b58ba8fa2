"""What a detector's detections are worth, measured against the ground truth."""
