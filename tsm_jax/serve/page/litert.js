// A step of the model by LiteRT, with what it remembers of the stream.

import {fetched} from './fetched.js';

const FOLDER = 'litert/';  // what is fetched from npm, see web_runtime.py

// The model that a card describes, at the beginning of a stream.
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
    this.types = Object.fromEntries(
      card.inputs.map(({name, ...type}) => [name, type]));
    this.kept = {};  // what the next step takes
    for (const [name] of card.caches) this.kept[name] = this.tensor(name);
  }

  // A tensor of an input, of zeros or of what is given.
  tensor(name, values = null) {
    const {dtype, shape} = this.types[name];
    const size = shape.reduce((product, n) => product * n, 1);
    const array = new ARRAYS[dtype](size);
    if (values) array.set(values);
    return new this.Tensor(array, shape);
  }

  // The probabilities of a frame, uint8 [size, size, 3]; a fresh one begins a
  // stream. Tensors lie outside of what JavaScript frees by itself.
  async step(frame, fresh) {
    const frames = this.tensor('frames', frame);
    const reset = this.tensor('reset', [fresh ? 1 : 0]);
    const found = await this.compiled.run({frames, reset, ...this.kept});
    const used = [frames, reset, ...Object.values(this.kept)];
    for (const tensor of used) tensor.delete();
    for (const [from, to] of this.caches) this.kept[from] = found[to];
    const probabilities = found.probabilities.toTypedArray().slice();
    found.probabilities.delete();
    if (!probabilities.every(Number.isFinite)) {
      throw new Error('The model gives no finite number.');
    }
    return probabilities;
  }
}
