# SPDX-License-Identifier: Apache-2.0
"""Nets of torchvision: classification and segmentation."""

import torch
import torchvision

from entry import Entry, images

CLASSIFIERS = {  # torchvision's name: opsets, size of the image, quick
    "resnet18": ((13, 9), 224, True),
    "resnet50": ((17,), 224, False),
    "mobilenet_v2": ((11,), 224, False),
    "mobilenet_v3_large": ((17, 13), 224, False),
    "mobilenet_v3_small": ((13,), 224, True),
    "efficientnet_b0": ((13, 9), 224, False),
    "densenet121": ((9, 18), 224, False),
    "inception_v3": ((11,), 299, False),
    "googlenet": ((13,), 224, False),
    "shufflenet_v2_x1_0": ((11, 17), 224, True),
    "vgg11": ((9,), 224, False),
    "squeezenet1_1": ((11,), 224, True),
    "mnasnet1_0": ((13,), 224, False),
    "regnet_y_400mf": ((17,), 224, False),
    "convnext_tiny": ((18,), 224, False),
    "swin_t": ((17,), 224, False),
    "vit_b_16": ((17, 14), 224, False),
}

SEGMENTERS = {
    "deeplabv3_mobilenet_v3_large": (13,),
    "deeplabv3_resnet50": (11,),
    "fcn_resnet50": (17,),
    "lraspp_mobilenet_v3_large": (18,),
}


class MainOutput(torch.nn.Module):
    """A segmentation net without its dictionary and auxiliary output."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)["out"]


def classifier(name):
    make = getattr(torchvision.models, name)
    # These draw weights by SciPy or slowly unless told otherwise.
    extra = {"init_weights": False, "aux_logits": False} \
        if name in ("inception_v3", "googlenet") else {}

    def build():
        net = make(weights=None, **extra)
        # Some begin training as nothing at all: layers times 0 or 1e-6.
        for key, p in net.named_parameters():
            if key.endswith("layer_scale"):
                torch.nn.init.uniform_(p, 0.1, 0.3)
            elif p.dim() > 1 and not p.any():
                torch.nn.init.normal_(p, 0, 0.05)
        return net
    return build


def segmenter(name):
    make = getattr(torchvision.models.segmentation, name)
    return lambda: MainOutput(make(weights=None, weights_backbone=None,
                                   num_classes=21))


def inputs(side):
    return lambda rng, rows, height=side, width=side: {
        "image": images(rng, rows, height=height, width=width)}


ENTRIES = [
    Entry(name, classifier(name), inputs(side), ("scores",), opsets,
          quick=quick)
    for name, (opsets, side, quick) in CLASSIFIERS.items()
] + [
    # Convolutions only, up to the pool: any size will do.
    Entry("resnet18_any_size", classifier("resnet18"), inputs(160),
          ("scores",), (13,), {"image": {2: "height", 3: "width"}},
          ({}, {"height": 96, "width": 224})),
] + [
    Entry(name, segmenter(name), inputs(160), ("classes",), opsets,
          {"image": {2: "height", 3: "width"},
           "classes": {2: "height", 3: "width"}},
          ({}, {"height": 128, "width": 192}), quick=name.startswith("lr"))
    for name, opsets in SEGMENTERS.items()
]
