"""
The encoders of the published system in PyTorch, with the parameter names of its checkpoints: PVTv2, ResNet-50 (He et al.
2016) with the second, unused branch of the checkpoints, and VGGish (Hershey et al. 2017). A visual encoder has `channels`,
`stem(x)` and `stage(i, x)`: map [N,C,H,W] -> tokens [N,H'W',C'], H', W'.
"""
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
    """ResNet-50 ("res50") or a variant of PVTv2."""
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
