# SPDX-License-Identifier: Apache-2.0
"""Detectors as small modules: YOLOv5s and YOLOv8n with the decoding in the
graph, with and without NonMaxSuppression, and an SSD; and two UNets."""

import torch
from torch import nn

from entry import Entry, images

STRIDES = (8, 16, 32)
N_CLASSES = 80


def width(channels, share):
    return max(8, int(channels * share + 7) // 8 * 8)


class Block(nn.Module):
    """Convolution, BatchNormalization, SiLU."""

    def __init__(self, cin, cout, kernel=1, stride=1, group=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, (kernel - 1) // 2,
                              groups=group, bias=False)
        self.norm = nn.BatchNorm2d(cout)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, channels, kernels, residual):
        super().__init__()
        self.first = Block(channels, channels, kernels[0])
        self.second = Block(channels, channels, kernels[1])
        self.residual = residual

    def forward(self, x):
        y = self.second(self.first(x))
        return x + y if self.residual else y


class Csp3(nn.Module):
    """YOLOv5's stage: bottlenecks beside a shortcut."""

    def __init__(self, cin, cout, n, residual=True):
        super().__init__()
        half = cout // 2
        self.main = Block(cin, half)
        self.side = Block(cin, half)
        self.last = Block(2 * half, cout)
        self.inner = nn.Sequential(*(Bottleneck(half, (1, 3), residual)
                                     for _ in range(n)))

    def forward(self, x):
        return self.last(torch.cat(
            (self.inner(self.main(x)), self.side(x)), 1))


class Csp2(nn.Module):
    """YOLOv8's stage: every bottleneck's output is kept."""

    def __init__(self, cin, cout, n, residual=True):
        super().__init__()
        half = cout // 2
        self.first = Block(cin, 2 * half)
        self.last = Block((2 + n) * half, cout)
        self.inner = nn.ModuleList(Bottleneck(half, (3, 3), residual)
                                   for _ in range(n))

    def forward(self, x):
        kept = list(self.first(x).chunk(2, 1))
        for m in self.inner:
            kept.append(m(kept[-1]))
        return self.last(torch.cat(kept, 1))


class Pyramid(nn.Module):
    """Spatial pyramid pooling by three pools in a row."""

    def __init__(self, cin, cout):
        super().__init__()
        self.first = Block(cin, cin // 2)
        self.last = Block(cin // 2 * 4, cout)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        kept = [self.first(x)]
        for _ in range(3):
            kept.append(self.pool(kept[-1]))
        return self.last(torch.cat(kept, 1))


class Backbone(nn.Module):
    """Backbone and neck: three maps, at strides 8, 16 and 32."""

    def __init__(self, stage, share, depths, stem):
        super().__init__()
        c = [width(k, share) for k in (64, 128, 256, 512, 1024)]
        self.stem = Block(3, c[0], stem, 2)
        self.down = nn.ModuleList(Block(c[i], c[i + 1], 3, 2)
                                  for i in range(4))
        self.stages = nn.ModuleList(stage(c[i + 1], c[i + 1], depths[i])
                                    for i in range(4))
        self.pyramid = Pyramid(c[4], c[4])
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.reduce = nn.ModuleList((Block(c[4], c[3]), Block(c[3], c[2])))
        self.tops = nn.ModuleList((stage(2 * c[3], c[3], 1, False),
                                   stage(2 * c[2], c[2], 1, False)))
        self.back = nn.ModuleList((Block(c[2], c[2], 3, 2),
                                   Block(c[3], c[3], 3, 2)))
        self.ends = nn.ModuleList((stage(2 * c[2], c[3], 1, False),
                                   stage(2 * c[3], c[4], 1, False)))
        self.channels = c[2:]

    def forward(self, x):
        kept = []
        x = self.stem(x)
        for down, stage in zip(self.down, self.stages):
            x = stage(down(x))
            kept.append(x)
        high = self.reduce[0](self.pyramid(x))
        x = self.tops[0](torch.cat((self.up(high), kept[2]), 1))
        middle = self.reduce[1](x)
        low = self.tops[1](torch.cat((self.up(middle), kept[1]), 1))
        mid = self.ends[0](torch.cat((self.back[0](low), middle), 1))
        top = self.ends[1](torch.cat((self.back[1](mid), high), 1))
        return low, mid, top


def grid(height, width):
    """[height, width, 2]: x and y of each cell."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width),
                          indexing="ij")
    return torch.stack((x, y), 2).float()


class Yolo5(nn.Module):
    """Three anchors a cell; [rows, boxes, x y w h objectness classes]."""

    ANCHORS = (((10, 13), (16, 30), (33, 23)),
               ((30, 61), (62, 45), (59, 119)),
               ((116, 90), (156, 198), (373, 326)))

    def __init__(self):
        super().__init__()
        self.body = Backbone(Csp3, 0.5, (1, 2, 3, 1), 6)
        self.n_out = 5 + N_CLASSES
        self.heads = nn.ModuleList(nn.Conv2d(c, 3 * self.n_out, 1)
                                   for c in self.body.channels)
        self.register_buffer("anchors", torch.tensor(self.ANCHORS).float())

    def forward(self, x):
        found = []
        for i, (head, y) in enumerate(zip(self.heads, self.body(x))):
            y = head(y)
            rows, _, ny, nx = y.shape
            y = y.view(rows, 3, self.n_out, ny, nx).permute(0, 1, 3, 4, 2)
            y = y.contiguous().sigmoid()
            cells = grid(ny, nx).view(1, 1, ny, nx, 2)
            xy, wh, rest = y.split((2, 2, self.n_out - 4), 4)
            xy = (xy * 2 - 0.5 + cells) * STRIDES[i]
            wh = (wh * 2) ** 2 * self.anchors[i].view(1, 3, 1, 1, 2)
            found.append(torch.cat((xy, wh, rest), 4)
                         .view(rows, 3 * ny * nx, self.n_out))
        return torch.cat(found, 1)


class Yolo8(nn.Module):
    """Distances as distributions; [rows, x y w h classes, boxes]."""

    N_BINS = 16

    def __init__(self):
        super().__init__()
        self.body = Backbone(Csp2, 0.25, (1, 2, 2, 1), 3)
        self.boxes = nn.ModuleList(self.branch(c, 64, 4 * self.N_BINS)
                                   for c in self.body.channels)
        self.classes = nn.ModuleList(self.branch(c, N_CLASSES, N_CLASSES)
                                     for c in self.body.channels)
        self.bins = nn.Conv2d(self.N_BINS, 1, 1, bias=False)
        self.bins.weight.data[:] = torch.arange(
            self.N_BINS).float().view(1, -1, 1, 1)

    @staticmethod
    def branch(cin, mid, cout):
        return nn.Sequential(Block(cin, mid, 3), Block(mid, mid, 3),
                             nn.Conv2d(mid, cout, 1))

    def forward(self, x):
        maps, centers, strides = [], [], []
        for i, y in enumerate(self.body(x)):
            y = torch.cat((self.boxes[i](y), self.classes[i](y)), 1)
            rows, _, ny, nx = y.shape
            centers.append(grid(ny, nx).view(-1, 2) + 0.5)
            strides.append(torch.full((ny * nx, 1), float(STRIDES[i])))
            maps.append(y.view(rows, 4 * self.N_BINS + N_CLASSES, -1))
        boxes, classes = torch.cat(maps, 2).split(
            (4 * self.N_BINS, N_CLASSES), 1)
        rows, _, n = boxes.shape
        boxes = boxes.view(rows, 4, self.N_BINS, n).transpose(2, 1)
        boxes = self.bins(boxes.softmax(1)).view(rows, 4, n)
        near, far = boxes.chunk(2, 1)
        centers = torch.cat(centers).transpose(0, 1).unsqueeze(0)
        near, far = centers - near, centers + far
        boxes = torch.cat(((near + far) / 2, far - near), 1)
        boxes = boxes * torch.cat(strides).transpose(0, 1)
        return torch.cat((boxes, classes.sigmoid()), 1)


class Suppress(torch.autograd.Function):
    """ONNX's NonMaxSuppression, which torch has in no such form."""

    @staticmethod
    def forward(ctx, boxes, scores):
        return torch.zeros((7, 3), dtype=torch.int64)

    @staticmethod
    def symbolic(g, boxes, scores):
        constant = lambda t: g.op("Constant", value_t=t)  # noqa: E731
        return g.op("NonMaxSuppression", boxes, scores,
                    constant(torch.tensor([20], dtype=torch.int64)),
                    constant(torch.tensor([0.45])),
                    constant(torch.tensor([0.52])), center_point_box_i=1)


class Suppressed(nn.Module):
    """
    A detector and NonMaxSuppression behind it, as ONNX has it: rows of
    [row, x, y, w, h, score, class], as many as there are.
    """

    def __init__(self, net, transposed):
        super().__init__()
        self.net = net
        self.transposed = transposed

    def forward(self, x):
        y = self.net(x)
        if self.transposed:
            y = y.transpose(1, 2)
            boxes, scores = y[..., :4], y[..., 4:]
        else:
            boxes, scores = y[..., :4], y[..., 5:] * y[..., 4:5]
        scores = scores.transpose(1, 2)
        picked = Suppress.apply(boxes, scores)
        row, kind, box = picked[:, 0], picked[:, 1], picked[:, 2]
        return torch.cat((row.unsqueeze(1).float(), boxes[row, box],
                          scores[row, kind, box].unsqueeze(1),
                          kind.unsqueeze(1).float()), 1)


class Ssd(nn.Module):
    """Separable convolutions, six priors a cell; boxes and class scores."""

    def __init__(self, n_classes=21):
        super().__init__()
        channels = (32, 64, 128, 128, 256, 256)
        self.n_classes = n_classes
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(cin, cin, 3, 2, 1, groups=1 if cin == 3 else cin,
                          bias=False),
                nn.BatchNorm2d(cin), nn.ReLU6(),
                nn.Conv2d(cin, cout, 1, bias=False),
                nn.BatchNorm2d(cout), nn.ReLU6())
            for cin, cout in zip((3,) + channels, channels))
        self.boxes = nn.ModuleList(nn.Conv2d(c, 6 * 4, 3, padding=1)
                                   for c in channels[3:])
        self.classes = nn.ModuleList(
            nn.Conv2d(c, 6 * n_classes, 3, padding=1) for c in channels[3:])
        n = sum(6 * (256 >> k) ** 2 for k in (4, 5, 6))
        self.register_buffer("priors", torch.rand(n, 4) * 0.8 + 0.1)

    def forward(self, x):
        boxes, classes = [], []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i < 3:
                continue
            rows = x.shape[0]
            boxes.append(self.boxes[i - 3](x).permute(0, 2, 3, 1)
                         .reshape(rows, -1, 4))
            classes.append(self.classes[i - 3](x).permute(0, 2, 3, 1)
                           .reshape(rows, -1, self.n_classes))
        at = torch.cat(boxes, 1)
        center = at[..., :2] * 0.1 * self.priors[:, 2:] + self.priors[:, :2]
        size = torch.exp(at[..., 2:] * 0.2) * self.priors[:, 2:]
        corners = torch.cat((center - size / 2, center + size / 2), -1)
        return corners, torch.cat(classes, 1).softmax(-1)


class Unet(nn.Module):
    """Up by transposed convolution, or by bilinear resizing."""

    def __init__(self, transposed, depth=4, base=16):
        super().__init__()
        c = [base << k for k in range(depth + 1)]
        self.down = nn.ModuleList([self.pair(3, c[0])] + [
            self.pair(c[k], c[k + 1]) for k in range(depth)])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c[k + 1], c[k], 2, 2) if transposed else
            nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear",
                                      align_corners=True),
                          nn.Conv2d(c[k + 1], c[k], 1))
            for k in reversed(range(depth)))
        self.join = nn.ModuleList(self.pair(2 * c[k], c[k])
                                  for k in reversed(range(depth)))
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(c[0], 4, 1)

    @staticmethod
    def pair(cin, cout):
        layers = []
        for k in (cin, cout):
            layers += [nn.Conv2d(k, cout, 3, padding=1),
                       nn.BatchNorm2d(cout), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x):
        kept = []
        for stage in self.down[:-1]:
            kept.append(stage(x))
            x = self.pool(kept[-1])
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join):
            x = join(torch.cat((kept.pop(), up(x)), 1))
        return torch.sigmoid(self.last(x))


def inputs(side):
    return lambda rng, rows, height=side, width=side: {
        "images": images(rng, rows, height=height, width=width)}


ANY_SIZE = {2: "height", 3: "width"}
SIZES = ({}, {"height": 192, "width": 352})

ENTRIES = [
    Entry("yolov5s", Yolo5, inputs(320), ("output0",), (12, 17),
          {"images": ANY_SIZE, "output0": {1: "boxes"}}, SIZES, quick=True),
    Entry("yolov8n", Yolo8, inputs(320), ("output0",), (17, 13),
          {"images": ANY_SIZE, "output0": {2: "boxes"}}, SIZES),
    Entry("yolov8n_fixed", Yolo8, inputs(320), ("output0",), (19,)),
    Entry("yolov5s_nms", lambda: Suppressed(Yolo5(), False), inputs(320),
          ("found",), (12,), {"images": ANY_SIZE, "found": {0: "n"}}, SIZES,
          batch=False, listed=True),
    Entry("yolov8n_nms", lambda: Suppressed(Yolo8(), True), inputs(320),
          ("found",), (17,), {"found": {0: "n"}}, batch=False, listed=True, quick=True),
    Entry("ssd", Ssd, inputs(256), ("boxes", "scores"), (11, 17)),
    Entry("unet", lambda: Unet(True), inputs(128), ("mask",), (13,),
          {"images": ANY_SIZE, "mask": ANY_SIZE},
          ({}, {"height": 96, "width": 160}), quick=True),
    Entry("unet_bilinear", lambda: Unet(False), inputs(128), ("mask",),
          (11, 18), {"images": ANY_SIZE, "mask": ANY_SIZE},
          ({}, {"height": 96, "width": 160})),
]
