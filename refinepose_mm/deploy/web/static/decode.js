// From heatmaps to keypoints, as BatchedUDPHeatmap does in Python: the highest pixel, and from there
// DARK's step to the maximum of the quadratic through the logarithm of the blurred heatmap
// (Zhang et al., CVPR 2020), in UDP's form (Huang et al., CVPR 2020).

const LOWEST = 1e-3; // MMPose clips blurred heatmaps to this range before it takes their logarithm
const HIGHEST = 50;
const EPSILON = 2 ** -23;

// The keypoint of one heatmap (Float32Array, row by row) in pixels of the heatmap, and the
// height of its maximum. Without a finite positive maximum the keypoint is (-1, -1).
export function decode(heatmap, width, height, kernel) {
  let best = 0;
  for (let i = 1; i < heatmap.length; i += 1) {
    if (heatmap[i] > heatmap[best] || Number.isNaN(heatmap[i])) best = i; // NaN is the greatest
  }
  const peak = heatmap[best];
  if (!Number.isFinite(peak)) return { x: -1, y: -1, height: 0 };
  if (peak <= 0) return { x: -1, y: -1, height: peak };

  const blurred = blur(heatmap, width, height, kernel);
  const scale = peak / blurred.reduce((a, b) => Math.max(a, b));
  const x = best % width;
  const y = Math.floor(best / width);
  const at = (dx, dy) => {
    const column = Math.min(Math.max(x + dx, 0), width - 1); // beyond the border it repeats
    const row = Math.min(Math.max(y + dy, 0), height - 1);
    return Math.log(Math.min(Math.max(blurred[row * width + column] * scale, LOWEST), HIGHEST));
  };
  const [stepX, stepY] = newtonStep(at);
  return { x: x + finiteOrZero(stepX), y: y + finiteOrZero(stepY), height: peak };
}

function finiteOrZero(value) {
  return Number.isFinite(value) ? value : 0;
}

// The step (x, y) to the extremum around (0, 0). The mixed derivative and the small number on the
// Hessian's diagonal are MMPose's.
function newtonStep(at) {
  const centre = at(0, 0);
  const dx = (at(1, 0) - at(-1, 0)) / 2;
  const dy = (at(0, 1) - at(0, -1)) / 2;
  const dxx = at(1, 0) - 2 * centre + at(-1, 0) + EPSILON;
  const dyy = at(0, 1) - 2 * centre + at(0, -1) + EPSILON;
  const dxy = (at(1, 1) + at(-1, -1) - at(-1, 0) - at(1, 0) - at(0, -1) - at(0, 1)
    + 2 * centre) / 2;
  const determinant = dxx * dyy - dxy * dxy;
  return [(dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant];
}

// Gaussian blur in both directions; zeros lie beyond the border.
function blur(map, width, height, kernel) {
  const rows = convolve(map, map.length / width, width, width, 1, kernel);
  return convolve(rows, width, height, 1, width, kernel);
}

// Convolve `lines` lines of `length` values; `next` leads to the next line, `step` along a line.
function convolve(map, lines, length, next, step, kernel) {
  const result = new Float32Array(map.length);
  const reach = (kernel.length - 1) / 2;
  for (let line = 0; line < lines; line += 1) {
    for (let i = 0; i < length; i += 1) {
      let sum = 0;
      const first = Math.max(-reach, -i);
      const last = Math.min(reach, length - 1 - i);
      for (let tap = first; tap <= last; tap += 1) {
        sum += kernel[reach + tap] * map[line * next + (i + tap) * step];
      }
      result[line * next + i * step] = sum;
    }
  }
  return result;
}

// Average heatmaps (keypoints x height x width) with those of the mirrored crop, in place.
// Left and right change places; `shift` moves mirrored ones by a pixel, as some codecs need it.
export function averageMirrored(heatmaps, mirrored, width, height, pairs, shift) {
  const size = width * height;
  const partner = Array.from({ length: heatmaps.length / size }, (_, k) => k);
  for (const [left, right] of pairs) [partner[left], partner[right]] = [right, left];
  partner.forEach((other, k) => {
    for (let row = 0; row < size; row += width) {
      for (let x = 0; x < width; x += 1) {
        const from = shift ? Math.max(x - 1, 0) : x;
        heatmaps[k * size + row + x] = (heatmaps[k * size + row + x]
          + mirrored[other * size + row + width - 1 - from]) / 2;
      }
    }
  });
}
