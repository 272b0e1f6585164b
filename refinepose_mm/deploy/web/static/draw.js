// Skeletons and heatmaps on a canvas.

const css = (color, alpha = 1) => `rgb(${color.join(' ')} / ${alpha})`;

// Draw persons. `scale` leads from pixels of the photo to pixels of the canvas; keypoints with a
// score below `threshold` are left out.
export function drawSkeletons(context, persons, about, { scale, threshold }) {
  const { skeleton } = about.keypoints;
  const { keypoint_colors: colors, link_colors: linkColors } = about.page;
  for (const { keypoints, scores, box } of persons) {
    // Lines grow with the person, so that small persons are not covered by them.
    const size = Math.max(box[2] - box[0], box[3] - box[1]) * scale;
    const width = Math.min(Math.max(size / 110, 1.5), 7);
    const places = keypoints.map(([x, y]) => [(x + .5) * scale, (y + .5) * scale]);
    const shown = scores.map((score) => score >= threshold);
    const radius = keypoints.length > 40 ? width * .8 : width * 1.35; // hands and faces are small
    context.lineCap = 'round';
    for (const outline of [true, false]) {
      skeleton.forEach(([from, to], link) => {
        if (!shown[from] || !shown[to]) return;
        context.beginPath();
        context.moveTo(...places[from]);
        context.lineTo(...places[to]);
        context.lineWidth = outline ? width + Math.max(width / 2, 1.5) : width;
        context.strokeStyle = outline ? 'rgb(0 0 0 / .55)' : css(linkColors[link]);
        context.stroke();
      });
    }
    places.forEach((place, k) => {
      if (!shown[k]) return;
      context.beginPath();
      context.arc(...place, radius, 0, 2 * Math.PI);
      context.fillStyle = css(colors[k]);
      context.fill();
      context.lineWidth = Math.max(width / 3, 1);
      context.strokeStyle = 'white';
      context.stroke();
    });
  }
}

// Draw the heatmaps of all keypoints, or of number `only`, in the keypoints' colours.
export function drawHeatmaps(context, persons, about, { scale, only }) {
  context.fillStyle = 'rgb(0 0 0 / .4)';
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = 'high';
  for (const { heatmaps } of persons) {
    const { width, height, origin, steps } = heatmaps;
    const picture = pictureOf(heatmaps, about.page.keypoint_colors, only);
    // The centre of the first pixel is at the origin, and the photo's pixels have centres, too.
    context.drawImage(picture,
      (origin[0] + .5 - steps[0] / 2) * scale, (origin[1] + .5 - steps[1] / 2) * scale,
      width * steps[0] * scale, height * steps[1] * scale);
  }
}

// A small canvas: each pixel has the colour of the keypoint that is highest there.
function pictureOf({ values, width, height }, colors, only) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    let best = only ?? 0;
    if (only === null) {
      for (let k = 1; k < colors.length; k += 1) {
        if (values[k * width * height + i] > values[best * width * height + i]) best = k;
      }
    }
    const value = Math.min(Math.max(values[best * width * height + i], 0), 1);
    image.data.set([...colors[best], 255 * Math.min(1.3 * value, 1)], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
