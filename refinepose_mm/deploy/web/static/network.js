// The network behind onnxruntime-web: from a photo and boxes to persons.

import { cropTo, mirrorTo, regionOf } from './crop.js';
import { averageMirrored, decode } from './decode.js';
import * as ort from './onnxruntime/ort.wasm.bundle.min.js';
import { scoresOf } from './scores.js';

const MOST_THREADS = 8;

export class Network {
  // `about` is page.json, `model` the bytes of the ONNX file.
  static async load(about, model) {
    ort.env.wasm.wasmPaths = {
      wasm: new URL('onnxruntime/ort-wasm-simd-threaded.wasm', import.meta.url).href,
    };
    if (self.crossOriginIsolated) {
      ort.env.wasm.numThreads = Math.min(navigator.hardwareConcurrency, MOST_THREADS);
    }
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    const network = new Network(about, session);
    await network.heatmaps(new Float32Array(network.cropLength), 1); // the first run is slow
    return network;
  }

  constructor(about, session) {
    this.about = about;
    this.session = session;
    const [width, height] = about.input.size;
    this.cropLength = 3 * width * height;
  }

  get threads() {
    return ort.env.wasm.numThreads;
  }

  // The persons in boxes [left, top, right, bottom], in pixels of the photo. `pixels` is its
  // ImageData, at `shrunk` times its width.
  async find(pixels, shrunk, boxes, flipTest) {
    const persons = [];
    for (const box of boxes) persons.push(await this.findOne(pixels, shrunk, box, flipTest));
    return persons;
  }

  async findOne(pixels, shrunk, box, flipTest) {
    const { input, codec, keypoints, page } = this.about;
    const region = regionOf(box, this.about);
    const crops = new Float32Array(this.cropLength * (flipTest ? 2 : 1));
    const crop = crops.subarray(0, this.cropLength);
    cropTo(crop, pixels, shrunk, region, this.about);
    if (flipTest) mirrorTo(crops.subarray(this.cropLength), crop, input.size[0]);

    const [width, height] = codec.heatmap_size;
    const length = keypoints.count * width * height;
    const both = await this.heatmaps(crops, flipTest ? 2 : 1);
    const heatmaps = both.slice(0, length);
    if (flipTest) {
      averageMirrored(heatmaps, both.subarray(length), width, height, keypoints.flip_pairs,
        page.shift_heatmap);
    }

    // (x, y) in the heatmap times `steps`, from `origin` on, is the place in the photo.
    const steps = codec.pixels_per_step.map((pixel, axis) => (
      pixel / input.size[axis] * region.extent[axis]));
    const origin = region.center.map((place, axis) => place - region.extent[axis] / 2);
    const found = keypoints.names.map((_, k) => decode(
      heatmaps.subarray(k * width * height, (k + 1) * width * height), width, height,
      page.blur_kernel));
    return {
      names: keypoints.names,
      keypoints: found.map(({ x, y }) => [origin[0] + x * steps[0], origin[1] + y * steps[1]]),
      ...scoresOf(found.map(({ height: peak }) => peak), this.about),
      box,
      heatmaps: { values: heatmaps, width, height, origin, steps },
    };
  }

  async heatmaps(crops, batch) {
    const [width, height] = this.about.input.size;
    const images = new ort.Tensor('float32', crops, [batch, 3, height, width]);
    const { heatmaps } = await this.session.run({ images });
    return heatmaps.data;
  }
}
