import struct
import zlib

import cv2
import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.data.archives import open_archive
from fergit.data.images import decode, decode_all

RAMP = np.tile(np.linspace(0, 250, 96).astype(np.uint8), (96, 1))


def encode(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


def test_48_pixels_are_kept_exactly():
    image = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    assert np.array_equal(decode(encode(image), "a.png"), image)


def test_larger_ones_are_averaged():
    expected = RAMP.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(decode(encode(RAMP), "a.png") - expected).max() <= 0.5


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_formats_and_channels(suffix, channels):
    image = np.repeat(RAMP[..., None], channels, axis=2)
    if channels == 4:
        image[..., 3] = 255
    assert np.abs(decode(encode(image, suffix), "a.jpg").astype(int) - decode(encode(RAMP), "a.png")).max() <= 8


def test_sixteen_bits():
    assert (
        np.abs(decode(encode(RAMP.astype(np.uint16) * 257), "a.png").astype(int) - decode(encode(RAMP), "b")).max() <= 1
    )


def test_colours_of_a_palette_and_of_print():
    image_module = pytest.importorskip("PIL.Image")
    import io

    for mode, kind in (("P", "PNG"), ("CMYK", "JPEG")):
        image_module.fromarray(np.repeat(RAMP[..., None], 3, axis=2)).convert(mode).save(buffer := io.BytesIO(), kind)
        # The mean, for a palette is dithered.
        assert np.abs(decode(buffer.getvalue(), mode).astype(int) - decode(encode(RAMP), "a")).mean() <= 8


def test_rotation_by_the_camera_is_applied():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"  # orientation 3: upside down
    jpeg = encode(RAMP, ".jpg")
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert np.abs(decode(turned, "a.jpg").astype(int) - decode(jpeg, "a.jpg")[::-1, ::-1]).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_cut_short(suffix):
    data = encode(np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8), suffix)
    for length in (0, 1, 10, 30, len(data) // 2, len(data) - 20):
        with pytest.raises(FergitError, match=r"a\.jpg"):
            decode(data[:length], "a.jpg")


def test_no_image_at_all():
    for data in (b"Dear reader, this is a text file.", b"GIF89a", b"<svg/>"):
        with pytest.raises(FergitError, match="not an image of a known format"):
            decode(data, "a.png")


def test_a_progressive_jpeg_cut_in_the_middle():
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8), progressive)[1].tobytes()
    assert decode(data, "a.jpg").std() > 0
    with pytest.raises(FergitError, match="cut short"):
        decode(data[: len(data) // 2], "a.jpg")


PNG = encode(RAMP)
HEADER = 33  # bytes: signature and IHDR


@pytest.mark.parametrize("place", [20, 29, PNG.index(b"IDAT") + 20, -14, -1])
def test_a_png_with_a_wrong_checksum_is_refused_without_another_word(place, capfd):
    damaged = bytearray(PNG)
    damaged[place] ^= 1
    with pytest.raises(FergitError, match=r"a\.png: .* damaged"):
        decode(bytes(damaged), "a.png")
    assert capfd.readouterr().err == ""  # not libpng's own, which names no file


def test_a_png_takes_no_memory_that_it_claims():
    for claimed in (0x7FFF_FFFF, 0xFFFF_FFFF, len(PNG)):
        lie = struct.pack(">I", claimed) + b"tEXt"
        with pytest.raises(FergitError, match="damaged"):
            decode(PNG[:HEADER] + lie + PNG[HEADER:], "a.png")


def test_bombs_beside_the_pixels_are_passed_over():
    packed = zlib.compress(bytes(50 << 20))
    for extra in (
        chunk(b"iCCP", b"x\0\0" + packed),
        chunk(b"zTXt", b"x\0\0" + packed),
        chunk(b"tEXt", b"x\0" + b"y" * (10 << 20)),
        chunk(b"tEXt", b"x\0y") * 10_000,
    ):
        assert np.array_equal(decode(PNG[:HEADER] + extra + PNG[HEADER:], "a.png"), decode(PNG, "b.png"))
    assert np.array_equal(decode(PNG + bytes(5000), "a.png"), decode(PNG, "b.png"))


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_an_animation_the_first_image_is_taken(kind):
    image_module = pytest.importorskip("PIL.Image")
    import io

    first, *others = [image_module.fromarray(np.full((48, 48), value, np.uint8)) for value in (50, 100, 200)]
    first.save(buffer := io.BytesIO(), kind, save_all=True, append_images=others)
    assert np.abs(decode(buffer.getvalue(), "a").astype(int) - 50).max() <= 1


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (1, 1), (48, 100_000), (0, 48)])
def test_sizes_that_are_refused(width, height):
    with pytest.raises(FergitError, match=f"is {width}x{height} pixels; allowed"):
        decode(bomb(width, height), "a.png")


def test_many_are_decoded_in_order(tmp_path):
    files = [(f"{value}.png", encode(np.full((48, 48), value, np.uint8))) for value in range(200)]
    for name, data in (*files, ("bad.png", b"")):
        (tmp_path / name).write_bytes(data)
    names = [name for name, _ in files]
    with open_archive(tmp_path) as archive:
        assert decode_all(archive, names)[0][:, 0, 0].tolist() == list(range(200))
        with pytest.raises(FergitError, match=r"bad\.png: not an image"):
            decode_all(archive, [*names, "bad.png"])


def test_other_sizes_are_counted(tmp_path):
    for name, side in (("a.png", 48), ("b.png", 49), ("c.png", 96)):
        (tmp_path / name).write_bytes(encode(np.zeros((side, side), np.uint8)))
    with open_archive(tmp_path) as archive:
        assert decode_all(archive, ["a.png"])[1] == []
        _, (sentence,) = decode_all(archive, archive.names)
    assert sentence == "images not of 48x48 pixels, resized: 2, such as b.png"
