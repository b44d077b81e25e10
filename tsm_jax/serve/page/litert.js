// Steps of the model by LiteRT, with what it remembers of a stream.

import {fetched} from './fetched.js';

const FOLDER = 'litert/';  // what is fetched from npm, see web_runtime.py

// The model that a card describes.
export async function open(card) {
  const name = 'model.tflite';
  const {bytes, sha256} = card.files[name];
  const response = await fetched(name, sha256.slice(0, 16));
  const content = new Uint8Array(await response.arrayBuffer());
  if (content.length !== bytes) {
    throw new Error(
      `${name} has ${content.length} bytes instead of ${bytes}; copy the ` +
      'whole folder again.');
  }
  const litert = await load();
  const options = {accelerator: 'wasm', cpuOptions: {numThreads: 1}};
  return new Model(litert, await litert.loadAndCompile(content, options), card);
}

async function load() {
  await fetched(`${FOLDER}index.js`);  // a failing import says nothing
  const litert = await import(`./${FOLDER}index.js`);
  const locateFile = (name) => new URL(FOLDER + name, import.meta.url).href;
  // It would look beside the worker, and call what it tells an error.
  self.Module = {locateFile, printErr: (line) => console.debug(line)};
  try {
    await litert.loadLiteRt(new URL(FOLDER, import.meta.url).href);
  } catch (error) {
    throw new Error(
      `LiteRT cannot be started: ${error.message ?? error}; the folder ` +
      `${FOLDER} has to be whole, and a Content-Security-Policy has to allow ` +
      "'wasm-unsafe-eval'.");
  }
  return litert;
}

const ARRAYS = {uint8: Uint8Array, int32: Int32Array, float32: Float32Array};

class Model {
  constructor({Tensor}, compiled, card) {
    this.Tensor = Tensor;
    this.compiled = compiled;
    this.caches = card.caches;
    this.types = new Map(card.inputs.map((input) => [input.name, input]));
  }

  begin() {
    return new Steps(this);
  }

  // A tensor of an input, of zeros or of what is given. It lies outside of what
  // JavaScript frees by itself.
  tensor(name, values = []) {
    const {dtype, shape} = this.types.get(name);
    const array = new ARRAYS[dtype](shape.reduce((size, n) => size * n, 1));
    array.set(values);
    return new this.Tensor(array, shape);
  }
}

// One stream.
class Steps {
  constructor(model) {
    this.model = model;
    this.begins = true;
    this.kept = {};  // what the next step takes
    for (const [name] of model.caches) this.kept[name] = model.tensor(name);
  }

  // The probabilities of the next frame, uint8 [size, size, 3].
  async next(frame) {
    const {model} = this;
    const frames = model.tensor('frames', frame);
    const reset = model.tensor('reset', [this.begins ? 1 : 0]);
    this.begins = false;
    const found = await model.compiled.run({frames, reset, ...this.kept});
    this.free();
    frames.delete();
    reset.delete();
    for (const [from, to] of model.caches) this.kept[from] = found[to];
    const probabilities = found.probabilities.toTypedArray().slice();
    found.probabilities.delete();
    if (!probabilities.every(Number.isFinite)) {
      throw new Error('The model gives no finite number.');
    }
    return probabilities;
  }

  free() {
    for (const tensor of Object.values(this.kept)) tensor.delete();
  }
}
