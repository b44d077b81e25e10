import io

import numpy as np
from PIL import Image
import pytest

from support import scenes
from tsm_jax.data.clips import pixels


def test_jpeg_decodes_as_pillow_does():
  image = scenes.scene(1, (49, 70))[0]
  data = pixels.encode_jpeg(image, 90)
  decoded = pixels.decode_jpeg(data)
  expected = np.asarray(Image.open(io.BytesIO(data)))
  np.testing.assert_array_equal(decoded, expected)
  assert abs(decoded.astype(int) - image).mean() < 3
  assert Image.open(io.BytesIO(data)).layer[0][1:3] == (2, 2)  # 4:2:0
  assert len(pixels.encode_jpeg(image, 30)) < len(data)
  with pytest.raises(ValueError, match='4 bytes that are not a JPEG'):
    pixels.decode_jpeg(b'JPEG')
