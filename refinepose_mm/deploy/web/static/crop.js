// From a photo and a box to the network's input: what GetBBoxCenterScale and TopdownAffine do in
// Python. A region is what a crop shows of the photo: centre and extent in pixels, as [x, y].

// The box, enlarged by the padding, then widened or heightened to the crop's aspect ratio.
export function regionOf([left, top, right, bottom], { input, crop }) {
  const width = (right - left) * crop.padding;
  const height = (bottom - top) * crop.padding;
  const unit = Math.max(width / input.size[0], height / input.size[1]);
  return {
    center: [(left + right) / 2, (top + bottom) / 2],
    extent: [unit * input.size[0], unit * input.size[1]],
  };
}

// Write the crop to `target`, a Float32Array of 3 x height x width: blue, green, red, 0 to 255.
// `pixels` is the photo's ImageData, `shrunk` its width as a share of the photo's. Beyond the photo
// all is black. Rounding is OpenCV 4's: summands of a place to 1/1024 pixel, their sum to 1/32.
export function cropTo(target, pixels, shrunk, region, { input, crop }) {
  const [width, height] = input.size;
  const { data, width: columns, height: rows } = pixels;
  const along = (axis, size, index) => {
    const step = region.extent[axis] / (size - (crop.udp ? 1 : 0)) * shrunk;
    const start = (region.center[axis] - region.extent[axis] / 2 + .5) * shrunk - .5;
    return Math.round((Math.round(start * 1024) + Math.round(step * index * 1024)) / 32) / 32;
  };
  const xs = Float64Array.from({ length: width }, (_, u) => along(0, width, u));
  for (let v = 0; v < height; v += 1) {
    const y = along(1, height, v);
    const top = Math.floor(y);
    for (let u = 0; u < width; u += 1) {
      const left = Math.floor(xs[u]);
      const sums = [0, 0, 0];
      for (const row of [top, top + 1]) {
        for (const column of [left, left + 1]) {
          if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
          const weight = (1 - Math.abs(xs[u] - column)) * (1 - Math.abs(y - row));
          const at = 4 * (row * columns + column);
          for (let c = 0; c < 3; c += 1) sums[c] += weight * data[at + 2 - c];
        }
      }
      for (let c = 0; c < 3; c += 1) {
        target[(c * height + v) * width + u] = Math.round(sums[c]);
      }
    }
  }
}

// Write the mirror image of a crop to `target`.
export function mirrorTo(target, source, width) {
  for (let row = 0; row < source.length; row += width) {
    for (let u = 0; u < width; u += 1) target[row + u] = source[row + width - 1 - u];
  }
}
