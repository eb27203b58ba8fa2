"""Multiply-adds beside those that torchvision states for its own models of the same layers."""

from pathlib import Path

import pytest

import multibox as mb

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# `_ops` in the metadata of ssd300_vgg16 and ssdlite320_mobilenet_v3_large, in 1e9 multiply-adds.
TORCHVISION = ((mb.SSD300, 34.858), (mb.SSDLite, 0.583))


@pytest.mark.parametrize(("build", "stated"), TORCHVISION)
def test_multiply_adds_are_those_of_torchvision(build, stated, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from models import multiply_adds

    assert multiply_adds(build(90)) / 1e9 == pytest.approx(stated, abs=5e-4)
