// The page: a photo comes in, boxes and settings change, the worker finds, the canvas shows.

import { Boxes } from './boxes.js';
import { drawHeatmaps, drawSkeletons } from './draw.js';
import { readPhoto } from './photo.js';
import { fillTables, keypointsJson, save } from './results.js';
import { usualThreshold } from './scores.js';

const element = (id) => document.getElementById(id);
const about = await (await fetch('page.json', { cache: 'no-cache' })).json();
const stage = element('stage');
const overlay = element('overlay');
const boxes = new Boxes(stage, () => find());
const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });

let photo = null; // as readPhoto gives it
let persons = []; // as the worker found them
let ready = false;
let asked = 0; // number of the last question to the worker
let waiting = false; // whether it has not answered yet
let changed = false; // whether there is something new to ask

element('from-disk').remove();
introduce();
listen();
draw();
worker.postMessage({ about, url: new URL(about.page.model, location.href).href });

// What page.json says of the model.
function introduce() {
  const { page, input, keypoints } = about;
  document.title = `RefinePose · ${page.name}`;
  element('model-name').textContent = page.name;
  element('flip-test').checked = page.flip_test;
  element('threshold').value = usualThreshold(about);
  keypoints.names.forEach((name, k) => {
    element('joint').add(new Option(name.replaceAll('_', ' '), k));
  });
  element('about').textContent = `${keypoints.count} joints, ${input.size.join(' x ')} pixels, `
    + `written by ${about.package}`;
}

function listen() {
  for (const button of document.querySelectorAll('.choose')) {
    button.addEventListener('click', () => element('file').click());
  }
  element('file').addEventListener('change', ({ target }) => {
    if (target.files.length) open(target.files[0]);
    target.value = ''; // the same photo may be chosen again
  });
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', (event) => {
    if (event.clipboardData.files.length) open(event.clipboardData.files[0]);
  });
  element('add-box').addEventListener('click', () => boxes.addInTheMiddle());
  element('clear-boxes').addEventListener('click', () => {
    boxes.clear();
    find();
  });
  element('flip-test').addEventListener('change', () => find());
  for (const id of ['skeleton', 'heatmaps', 'joint']) element(id).addEventListener('change', draw);
  element('threshold').addEventListener('input', draw);
  element('save-json').addEventListener('click', () => {
    save(keypointsJson(photo, persons, about), `${stem(photo.name)}_keypoints.json`);
  });
  element('save-picture').addEventListener('click', async () => {
    save(await picture(), `${stem(photo.name)}_pose.png`);
  });
  new ResizeObserver(fit).observe(element('view'));
  window.addEventListener('resize', fit);
  worker.addEventListener('message', ({ data }) => heard(data));
  worker.addEventListener('error', (event) => {
    fail(`The model cannot run here: ${event.message ?? 'a module is missing'}`);
  });
}

const stem = (name) => name.replace(/\.[^.]*$/, '');

function say(text) {
  element('status').textContent = text;
  element('status').classList.remove('failed');
}

function fail(text) {
  say(text);
  element('status').classList.add('failed');
  element('progress').hidden = true;
}

async function open(file) {
  say(`Reading ${file.name} …`);
  let next;
  try {
    next = await readPhoto(file);
  } catch (error) {
    fail(error.message);
    return;
  }
  if (photo) URL.revokeObjectURL(photo.url);
  photo = next;
  persons = [];
  element('photo').src = photo.url;
  element('photo').alt = photo.name;
  element('empty').hidden = true;
  element('another').hidden = false;
  stage.hidden = false;
  boxes.reset(photo.width, photo.height);
  element('persons').disabled = false;
  element('drawing').disabled = false;
  fit();
  find();
}

// Ask the worker for the persons; while it is busy, only that there is more to ask.
function find() {
  element('clear-boxes').disabled = !boxes.all.length;
  changed = true;
  if (!ready || waiting || !photo) return;
  changed = false;
  waiting = true;
  asked += 1;
  say('Looking …');
  const chosen = boxes.all;
  worker.postMessage({
    number: asked,
    pixels: photo.pixels,
    shrunk: photo.shrunk,
    boxes: chosen.length ? chosen : [[0, 0, photo.width, photo.height]],
    flipTest: element('flip-test').checked,
  });
}

function heard(message) {
  if (message.loaded) {
    element('progress').value = message.loaded / message.total;
    say(`Loading the model, ${(message.total / 1e6).toFixed(1)} MB …`);
  } else if (message.ready) {
    ready = true;
    element('progress').hidden = true;
    element('engine').textContent = engine(message.ready);
    say('Ready.');
    if (photo) find();
  } else if (message.error) {
    waiting = false;
    fail(`${ready ? 'The search has failed' : 'The model cannot be loaded'}: ${message.error}`);
  } else {
    waiting = false;
    if (changed) find();
    else show(message);
  }
}

function engine({ threads, isolated }) {
  const many = threads > 1 ? `${threads} threads` : '1 thread';
  const reason = isolated ? '' : ' (more need a server that sends COOP and COEP headers)';
  return `${about.page.runtime}: WebAssembly, SIMD, ${many}${reason}`;
}

function show({ persons: found, milliseconds }) {
  persons = found;
  element('results').disabled = false;
  element('milliseconds').textContent = milliseconds < 10 ? milliseconds.toFixed(1)
    : Math.round(milliseconds);
  const count = `${persons.length} ${persons.length === 1 ? 'person' : 'persons'}`;
  element('count').textContent = count;
  say(`Found ${count}.`);
  fillTables(element('tables'), persons, about);
  draw();
}

// Give the stage the largest size that fits, in the photo's aspect ratio.
function fit() {
  if (!photo) return;
  const width = element('view').clientWidth;
  const most = Math.max(280, window.innerHeight * (window.innerWidth > 820 ? .82 : .7));
  const scale = Math.min(width / photo.width, most / photo.height);
  stage.style.width = `${photo.width * scale}px`;
  stage.style.height = `${photo.height * scale}px`;
  draw();
}

function draw() {
  element('threshold-value').textContent = Number(element('threshold').value).toFixed(2);
  if (!photo) return;
  const scale = stage.clientWidth * window.devicePixelRatio / photo.width;
  overlay.width = Math.round(photo.width * scale);
  overlay.height = Math.round(photo.height * scale);
  paint(overlay.getContext('2d'), scale);
}

function paint(context, scale) {
  const joint = element('joint').value;
  if (element('heatmaps').checked && persons.length) {
    drawHeatmaps(context, persons, about, { scale, only: joint === '' ? null : Number(joint) });
  }
  if (element('skeleton').checked) {
    drawSkeletons(context, persons, about, { scale, threshold: Number(element('threshold').value) });
  }
}

// The photo with what is drawn on it, as a file.
function picture() {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [photo.pixels.width, photo.pixels.height];
  const context = canvas.getContext('2d');
  context.drawImage(element('photo'), 0, 0, canvas.width, canvas.height);
  paint(context, photo.shrunk);
  return new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
}
