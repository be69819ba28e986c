"""
The encoders of the published system in PyTorch, with the parameter names of its checkpoints: PVTv2, ResNet-50 (He et al.
2016) with the second, unused branch of the checkpoints, and VGGish (Hershey et al. 2017); and EfficientNet-Lite with
those of EfficientNet-PyTorch. A visual encoder has `channels`,
`stem(x)` and `stage(i, x)`: map [N,C,H,W] -> tokens [N,H'W',C'], H', W'.
"""
import math

from torch import nn
from torch.nn import functional as F

from pvt_v2 import PVTv2

PVT = {
    "b0": dict(dims=(32, 64, 160, 256), depths=(2, 2, 2, 2), ratios=(8, 8, 4, 4)),
    "b2": dict(dims=(64, 128, 320, 512), depths=(3, 4, 6, 3), ratios=(8, 8, 4, 4)),
    "b5": dict(dims=(64, 128, 320, 512), depths=(3, 6, 40, 3)),
    "micro": dict(dims=(16, 32, 40, 64), depths=(1, 1, 2, 1)),  # for the training reference
}


def visual_encoder(name):
    """ResNet-50 ("res50"), EfficientNet-Lite ("lite0" to "lite2") or a variant of PVTv2."""
    if name.startswith("lite"):
        return EfficientNetLite(**LITE[name])
    return Res50() if name == "res50" else PVTv2(**PVT[name])


class Bottleneck(nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c)
        self.conv3, self.bn3 = nn.Conv2d(c, 4 * c, 1, bias=False), nn.BatchNorm2d(4 * c)
        self.downsample = None
        if stride != 1 or c_in != 4 * c:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, 4 * c, 1, stride, bias=False), nn.BatchNorm2d(4 * c))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def res_layer(c_in, c, depth, stride):
    return nn.Sequential(Bottleneck(c_in, c, stride), *(Bottleneck(4 * c, c, 1) for _ in range(depth - 1)))


class Res50(nn.Module):
    channels = (256, 512, 1024, 2048)

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.layer1, self.layer2 = res_layer(64, 64, 3, 1), res_layer(256, 128, 4, 2)
        self.layer3_1, self.layer4_1 = res_layer(512, 256, 6, 2), res_layer(1024, 512, 3, 2)
        self.layer3_2, self.layer4_2 = res_layer(512, 256, 6, 2), res_layer(1024, 512, 3, 2)

    def stem(self, x):
        return F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)

    def stage(self, i, x):
        x = (self.layer1, self.layer2, self.layer3_1, self.layer4_1)[i](x)
        return x.flatten(2).transpose(1, 2), x.shape[2], x.shape[3]


LITE = {"lite0": dict(width=1.0, depth=1.0), "lite1": dict(width=1.0, depth=1.1), "lite2": dict(width=1.1, depth=1.2)}


def same(x, k, stride):
    """Zeros as TensorFlow's "SAME" padding adds them."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((math.ceil(size / stride) - 1) * stride + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def lite_norm(c):
    return nn.BatchNorm2d(c, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    def __init__(self, c_in, c_out, k, stride, expansion):
        super().__init__()
        c = c_in * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(c_in, c, 1, bias=False), lite_norm(c)
        self._depthwise_conv, self._bn1 = nn.Conv2d(c, c, k, stride, groups=c, bias=False), lite_norm(c)
        self._project_conv, self._bn2 = nn.Conv2d(c, c_out, 1, bias=False), lite_norm(c_out)
        self.k, self.stride, self.skip = k, stride, stride == 1 and c_in == c_out

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(same(y, self.k, self.stride))))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite(nn.Module):
    """Without the classifier. `ends[i]` is the number of blocks up to the end of stage i."""

    def __init__(self, width, depth):
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, bias=False), lite_norm(32)
        blocks, self.ends, self.channels, c_in = [], [], [], 32
        # repeats, kernel, stride, expansion, channels, whether a stage ends here
        for n, k, stride, expansion, c, ends in (
            (1, 3, 1, 1, 16, False),
            (2, 3, 2, 6, 24, True),
            (2, 5, 2, 6, 40, True),
            (3, 3, 2, 6, 80, False),
            (3, 5, 1, 6, 112, True),
            (4, 5, 2, 6, 192, False),
            (1, 3, 1, 6, 320, True),
        ):
            c_out = int(c * width + 4) // 8 * 8
            c_out = c_out + 8 if c_out < 0.9 * c * width else c_out
            for i in range(n if n == 1 else math.ceil(n * depth)):
                blocks.append(MBConv(c_in, c_out, k, stride if i == 0 else 1, expansion))
                c_in = c_out
            if ends:
                self.ends.append(len(blocks))
                self.channels.append(c_out)
        self._blocks = nn.ModuleList(blocks)

    def stem(self, x):
        return F.relu6(self._bn0(self._conv_stem(same(x, 3, 2))))

    def stage(self, i, x):
        for block in self._blocks[self.ends[i - 1] if i else 0 : self.ends[i]]:
            x = block(x)
        return x.flatten(2).transpose(1, 2), x.shape[2], x.shape[3]


class Vggish(nn.Module):
    """log-mel [N,1,96,64] -> embedding [N,128]"""

    def __init__(self, widths=(64, 128, 256, 256, 512, 512), hidden=4096):
        super().__init__()
        layers, c_in = [], 1
        for i, c in enumerate(widths):
            layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.ReLU()]
            if i not in (2, 4):
                layers.append(nn.MaxPool2d(2, 2))
            c_in = c
        self.features = nn.Sequential(*layers)
        sizes = (24 * widths[-1], hidden, hidden, 128)
        self.embeddings = nn.Sequential(
            *(layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU()))
        )

    def forward(self, x):
        return self.embeddings(self.features(x).permute(0, 2, 3, 1).flatten(1))


def stages(encoder, x):
    """Tokens after each stage: {"stage1": [B,HW,C], ...}."""
    out, x = {}, encoder.stem(x)
    for i in range(4):
        tokens, h, w = encoder.stage(i, x)
        out[f"stage{i + 1}"] = tokens
        x = tokens.transpose(1, 2).reshape(tokens.shape[0], -1, h, w)
    return out
