// What the heights of heatmaps' maxima say of keypoints and persons.

const LOWEST = .2; // height of a keypoint that counts for its person's score, as in MMPose

// Scores of keypoints and of their person. If the model is calibrated: probabilities that keypoints
// are right, and the expected OKS; else heights, and the mean of those that count.
export function scoresOf(heights, { keypoints, calibration }) {
  if (!calibration) {
    const counted = heights.filter((height) => height > LOWEST);
    return { scores: heights, score: mean(counted) };
  }
  const read = (column) => heights.map((height, k) => {
    const table = calibration.joints[keypoints.names[k]];
    return interpolate(height, table.heights, table[column]);
  });
  return { scores: read('right'), score: mean(read('oks')) };
}

// From which score keypoints are shown at first: as likely right as wrong, or the usual height.
export function usualThreshold({ calibration }) {
  return calibration ? .5 : .3;
}

function mean(values) {
  return values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
}

// Linear between knots, constant beyond.
function interpolate(x, knots, values) {
  const next = knots.findIndex((knot) => knot > x);
  if (next === 0) return values[0];
  if (next < 0) return values.at(-1);
  const share = (x - knots[next - 1]) / (knots[next] - knots[next - 1]);
  return values[next - 1] + share * (values[next] - values[next - 1]);
}
