// Frames as the model was trained on them: shrunk as its clips are stored,
// scaled, and cut to a square. To the last bit what Python makes of them, which
// is Pillow's bilinear filter, antialiased where it shrinks.

const BITS = 22;  // of the fractions of a weight

// RGB `[size, size, 3]` of a frame `[height, width, 4]`, both uint8.
//   how.short_side: pixels of the shorter side as clips are stored
//   how.stored_size: `size`, pixels
//   how.image_size: of the crop inside, whose place decides that of the square
//   bgr: whether blue and red are exchanged
export function prepare(rgba, width, height, how, bgr = false) {
  const size = how.stored_size;
  let frame = {data: withoutAlpha(rgba, bgr), width, height};
  if (Math.min(width, height) > how.short_side) {
    frame = scale(frame, how.short_side);
  }
  frame = scale(frame, size);
  const x = margin(frame.width, size, how.image_size);
  const y = margin(frame.height, size, how.image_size);
  return cut(frame, x, y, size);
}

// Where the square begins, so that the crop inside is the frame's centre one.
function margin(length, size, crop) {
  return roundHalf((length - crop) / 2) - roundHalf((size - crop) / 2);
}

// Halves go to the even side, as in Python.
function roundHalf(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

function withoutAlpha(rgba, bgr) {
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  const red = bgr ? 2 : 0, blue = bgr ? 0 : 2;
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to + red] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + blue] = rgba[from + 2];
  }
  return rgb;
}

function cut({data, width}, x, y, size) {
  const square = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const start = ((y + row) * width + x) * 3;
    square.set(data.subarray(start, start + size * 3), row * size * 3);
  }
  return square;
}

// Scales a frame to a shorter side; the longer one is rounded down.
function scale(frame, side) {
  const {width, height} = frame;
  const tall = width <= height;
  const toWidth = tall ? side : Math.floor(side * width / height);
  const toHeight = tall ? Math.floor(side * height / width) : side;
  return resize(frame, toWidth, toHeight);
}

// A frame {data, width, height} of another size.
export function resize(frame, width, height) {
  if (frame.width !== width) frame = resizeRows(frame, width);
  if (frame.height !== height) frame = resizeColumns(frame, height);
  return frame;
}

function resizeRows({data, width, height}, to) {
  const {starts, counts, weights, most} = filter(width, to);
  const scaled = new Uint8Array(to * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < to; x++, at += 3) {
      let from = (y * width + starts[x]) * 3;
      let red = 1 << (BITS - 1), green = red, blue = red;
      const end = x * most + counts[x];
      for (let i = x * most; i < end; i++, from += 3) {
        const weight = weights[i];
        red += Math.imul(data[from], weight);
        green += Math.imul(data[from + 1], weight);
        blue += Math.imul(data[from + 2], weight);
      }
      scaled[at] = red >> BITS;
      scaled[at + 1] = green >> BITS;
      scaled[at + 2] = blue >> BITS;
    }
  }
  return {data: scaled, width: to, height};
}

function resizeColumns({data, width, height}, to) {
  const {starts, counts, weights, most} = filter(height, to);
  const row = width * 3, scaled = new Uint8Array(row * to);
  const sums = new Int32Array(row);
  for (let y = 0; y < to; y++) {
    sums.fill(1 << (BITS - 1));
    for (let i = 0; i < counts[y]; i++) {
      const weight = weights[y * most + i];
      const from = (starts[y] + i) * row;
      for (let x = 0; x < row; x++) {
        sums[x] += Math.imul(data[from + x], weight);
      }
    }
    for (let x = 0; x < row; x++) scaled[y * row + x] = sums[x] >> BITS;
  }
  return {data: scaled, width, height: to};
}

// Which values make each new one, `counts` from `starts` on, and their weights,
// `most` of each, which are whole numbers whose sum is about 2 ** BITS: a
// triangle as wide as two new pixels, or two old ones where these are wider.
function filter(from, to) {
  const step = from / to, reach = Math.max(step, 1);
  const most = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(to), counts = new Int32Array(to);
  const weights = new Int32Array(to * most);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * step;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), from);
    const shares = [];
    for (let x = start; x < end; x++) {
      const distance = Math.abs((x - centre + 0.5) * (1 / reach));
      shares.push(distance < 1 ? 1 - distance : 0);
    }
    const total = shares.reduce((sum, share) => sum + share, 0);
    shares.forEach((share, x) => {
      weights[i * most + x] = Math.trunc(0.5 + share / total * 2 ** BITS);
    });
    starts[i] = start;
    counts[i] = end - start;
  }
  return {starts, counts, weights, most};
}
