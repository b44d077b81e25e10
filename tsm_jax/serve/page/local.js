// A model that runs in the visitor's browser, in a worker, see page.js.
//
// The worker is sent {do: 'begin'}, {do: 'show', picture, time, steps} and
// {do: 'end'}, each with the number of its stream, and posts that with {answer}
// or {ended}, or {failed}; see following.js. Only the newest picture waits.

let opened = null;  // a promise of {worker, about}: a second start is fast
let streams = 0;

// Resolves to a model, see page.js.
export async function connect(handlers) {
  handlers.note('The model is being loaded …');
  opened ??= open();
  try {
    const {worker, about} = await opened;
    return new Local(worker, about, handlers);
  } catch (error) {
    opened = null;
    throw error;
  }
}

function open() {
  if (typeof OffscreenCanvas === 'undefined') {
    throw new Error('This browser is too old to run the model; update it.');
  }
  const worker = new Worker(new URL('worker.js', import.meta.url));
  return new Promise((resolve, reject) => {
    const fail = (message) => {
      worker.terminate();
      reject(new Error(message));
    };
    worker.onerror = (event) => fail(
      event.message || 'worker.js, a file of this page, cannot be loaded.');
    worker.addEventListener('message', ({data}) => {
      if (data.failed) fail(data.failed);
      else resolve({worker, about: data.opened});
    }, {once: true});
    worker.postMessage({do: 'open'});
  });
}

class Local {
  constructor(worker, {labels, interval, about}, handlers) {
    this.labels = labels;
    this.interval = interval;
    this.about = about;
    this.worker = worker;
    this.handlers = handlers;
    this.waiting = null;  // {bitmap, time, steps, taken}
    this.dropped = 0;
    this.own = new Set();  // streams whose end has not come yet
    this.closing = false;
    this.listener = ({data}) => this.hear(data);
    worker.addEventListener('message', this.listener);
    worker.onerror = (event) => this.fail(event.message);
    this.begin();
  }

  begin() {
    this.stream = ++streams;
    this.own.add(this.stream);
    this.shown = null;  // when the picture that the worker has was taken
    this.post({do: 'begin'});
  }

  show(picture, time, steps) {
    if (this.closing) return false;
    this.drop();
    const bitmap = createImageBitmap(picture);
    this.waiting = {bitmap, time, steps, taken: performance.now()};
    this.send();
    return true;
  }

  drop() {
    if (!this.waiting) return;
    this.dropped += this.waiting.steps;
    this.waiting.bitmap.then((bitmap) => bitmap.close(), () => {});
    this.waiting = null;
  }

  // Sends what waits, if the worker is free; after the last picture, the end.
  async send() {
    if (this.shown !== null) return;
    if (!this.waiting) {
      if (this.closing) this.post({do: 'end'});
      return;
    }
    const {bitmap, time, steps, taken} = this.waiting, stream = this.stream;
    this.waiting = null;
    this.shown = taken;
    try {
      const picture = await bitmap;
      if (stream === this.stream) {
        this.post({do: 'show', picture, time, steps}, [picture]);
      } else {
        this.dropped += steps;
        picture.close();
      }
    } catch (error) {
      this.fail(`The picture cannot be read: ${error.message}`);
    }
  }

  restart() {
    this.drop();
    this.post({do: 'end'});
    this.begin();
  }

  close() {
    if (this.closing) return;
    this.closing = true;
    this.send();
  }

  post(message, moved = []) {
    this.worker.postMessage({...message, stream: this.stream}, moved);
  }

  hear({stream, answer, ended, failed}) {
    if (failed) return this.fail(failed);  // the worker serves no one then
    if (!this.own.has(stream)) return;
    const old = stream !== this.stream;
    if (ended) {
      this.own.delete(stream);
      if (!this.own.size) this.leave();
      this.handlers.answer({events: ended, frame: false, old});
    }
    if (!answer) return;
    if (old) {
      this.handlers.answer({events: answer.events, frame: false, old});
      return;
    }
    const latency = performance.now() - this.shown;
    this.shown = null;
    this.handlers.answer(
      {...answer, latency, dropped: this.dropped, frame: true, old});
    this.send();
  }

  leave() {
    this.worker.removeEventListener('message', this.listener);
  }

  fail(message) {
    this.leave();
    opened = null;  // the next start loads all anew
    this.worker.terminate();
    this.closing = true;
    this.handlers.ended(message);
  }
}
