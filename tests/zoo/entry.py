# SPDX-License-Identifier: Apache-2.0
"""What the zoo knows of a model, and the list of all of them."""

import dataclasses
import typing

import numpy


@dataclasses.dataclass
class Entry:
    """
    A model, with random weights unless it is a trained one.

    build:   returns the torch module; called with the seed set.
    inputs:  (rng, rows, **size) to {name: array}, rows along the first axis.
    outputs: names, in the order the module returns them.
    dynamic: {name: {axis: label}} besides the batch, which is always axis 0.
    opsets:  of the files that are made; the first one of the quick run.
    sizes:   of the dynamic axes, one run each; {} is the one exported with.
    batch:   may rows share a run?
    listed:  the output is a list of finds: as many as there are, and near the
             limit of what counts as one a rounding decides.
    quick:   is it small, and unlike others?
    trained: its weights are as they must be.
    file:    returns the path of a ready ONNX file, instead of build.
    """
    name: str
    build: typing.Callable
    inputs: typing.Callable
    outputs: tuple
    opsets: tuple
    dynamic: dict = dataclasses.field(default_factory=dict)
    sizes: tuple = ({},)
    batch: bool = True
    listed: bool = False
    quick: bool = False
    trained: bool = False
    file: typing.Callable = None


def images(rng, rows, channels=3, height=224, width=224):
    """Smooth noise: neighbours are alike, as they are in photographs."""
    coarse = rng.normal(0, 1, (rows, channels, -(-height // 8),
                               -(-width // 8)))
    fine = coarse.repeat(8, 2).repeat(8, 3)[:, :, :height, :width]
    return (fine + rng.normal(0, 0.2, fine.shape)).astype(numpy.float32)


def tokens(rng, rows, length, n):
    """Token ids from 5 to n - 1, the first ones being special in most."""
    return rng.integers(5, n, (rows, length)).astype(numpy.int64)


def mask(rng, rows, length):
    """1 where a row has a token: the first is whole, others end early."""
    used = rng.integers(length // 2, length + 1, rows)
    used[0] = length
    return (numpy.arange(length) < used[:, None]).astype(numpy.int64)


def settle(module, batches):
    """
    Gives the BatchNormalizations of a module random scales, and the means and
    variances of what they see: activations keep their size to the end.
    """
    import torch
    norms = [m for m in module.modules()
             if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for m in norms:
        torch.nn.init.uniform_(m.weight, 0.5, 1.5)
        torch.nn.init.normal_(m.bias, 0, 0.1)
        m.reset_running_stats()
        m.momentum = None  # the mean of all batches
        m.train()
    with torch.no_grad():
        for args in batches if norms else ():
            module(*args)
    return module.eval()
