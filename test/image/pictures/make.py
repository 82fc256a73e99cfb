"""Small files of the kinds that Pillow reads, and in pillow.json the SHA-256 of the RGB bytes that it gives, upright.

Run in this folder: python make.py. The scene is smooth with one edge, so that chroma is interpolated and blocks ring.
"""
import hashlib
import json

import numpy
import PIL
from PIL import Image, ImageCms, ImageOps, features

height, width = 37, 53
y, x = numpy.mgrid[0:height, 0:width]
scene = numpy.stack([4 * x + y, 255 - 5 * y, numpy.where(x > y, 200, 30) + x // 2], -1).clip(0, 255).astype(numpy.uint8)
scene = Image.fromarray(scene)
sideways = Image.Exif()
sideways[0x0112] = 6
srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

files = {
    "420.jpg": (scene, {"quality": 80}),
    "444.jpg": (scene, {"quality": 95, "subsampling": 0}),
    "progressive.jpg": (scene, {"quality": 85, "progressive": True}),
    "grey.jpg": (scene.convert("L"), {"quality": 85}),
    "sideways.jpg": (scene, {"quality": 85, "exif": sideways}),
    "profile.jpg": (scene, {"quality": 85, "icc_profile": srgb}),
    "rgb.png": (scene, {}),
    "grey.png": (scene.convert("L"), {}),
    "bits.png": (scene.convert("1"), {}),
    "palette.png": (scene.quantize(16), {}),
    "palette.gif": (scene.quantize(16), {}),
    "animated.gif": (scene.quantize(16), {"save_all": True, "append_images": [scene.rotate(180).quantize(16)]}),
    "lossless.webp": (scene, {"lossless": True}),
    "rgb.tif": (scene, {"compression": "tiff_lzw"}),
}
pictures = {}
for name, (image, options) in files.items():
    image.save(name, **options)
    rgb = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    pictures[name] = {"width": rgb.width, "height": rgb.height, "sha256": hashlib.sha256(rgb.tobytes()).hexdigest()}

versions = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo"), "numpy": numpy.__version__}
with open("pillow.json", "w") as file:
    json.dump({"versions": versions, "pictures": pictures}, file, indent=1)
    file.write("\n")
