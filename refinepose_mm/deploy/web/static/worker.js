// Runs the network beside the page, which stays responsive. Messages in: {about, url}, then any
// number of {number, pixels, shrunk, boxes, flipTest}. Out: {loaded, total}, {ready}, and
// {number, persons, milliseconds} or {number, error}.

import { Network } from './network.js';

let network = null;

async function load({ about, url }) {
  const model = await download(url, about.page.model_bytes);
  network = await Network.load(about, model);
  postMessage({ ready: { threads: network.threads, isolated: self.crossOriginIsolated } });
}

// A file, with reports of how much has come. An earlier export's copy is not taken from the cache.
async function download(url, total) {
  const response = await fetch(url, { cache: 'no-cache' });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const model = new Uint8Array(total);
  let loaded = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (loaded + value.length > total) throw new Error(`${url} is not the file of page.json`);
    model.set(value, loaded);
    loaded += value.length;
    postMessage({ loaded, total });
  }
  if (loaded < total) throw new Error(`${url} is incomplete`);
  return model;
}

async function find({ number, pixels, shrunk, boxes, flipTest }) {
  const start = performance.now();
  const persons = await network.find(pixels, shrunk, boxes, flipTest);
  postMessage({ number, persons, milliseconds: performance.now() - start });
}

self.onmessage = async ({ data }) => {
  try {
    await (network ? find(data) : load(data));
  } catch (error) {
    postMessage({ number: data.number, error: error.message });
  }
};
