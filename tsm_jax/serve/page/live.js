// A model that the server runs, over one WebSocket.
//
// The first message is {token}; the server answers with what it knows of the
// model, or closes and says why. A picture is a float64 (its time, little
// endian) and a JPEG. {do: 'restart'} begins another stream, {do: 'end'} ends
// it and the connection, once its last events have come.

import {draw} from './source.js';

const QUALITY = 0.92;
const MOST_WAITING = 2 ** 18;  // bytes that are not sent yet

const CODES = {
  1006: 'The connection to the server is lost.',
  1009: 'The picture is too large for the server.',
  1012: 'The server was stopped.',
};

// Resolves to a model, see page.js.
export function connect(handlers) {
  const url = new URL('live', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  url.hash = '';
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  return new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify({token}));
    socket.onmessage = (event) => {
      resolve(new Live(socket, JSON.parse(event.data), handlers));
    };
    socket.onclose = (event) => reject(new Error(reason(event)));
  });
}

function reason(event) {
  if (event.code === 1000) return '';
  return event.reason || CODES[event.code] ||
    `The server closed the connection (${event.code}).`;
}

class Live {
  constructor(socket, hello, handlers) {
    this.labels = hello.labels;
    this.interval = hello.interval;
    this.about = hello.about;
    this.shortSide = hello.short_side;
    this.socket = socket;
    this.handlers = handlers;
    this.canvas = document.createElement('canvas');
    this.encoding = null;  // a promise, while a picture becomes a JPEG
    this.taken = new Map();  // when pictures were taken, by their times
    this.restarts = 0;  // that the server has not answered
    socket.onmessage = (event) => this.answer(JSON.parse(event.data));
    socket.onclose = (event) => handlers.ended(reason(event));
  }

  // The server finds the steps again by the time.
  show(video, time, steps) {
    if (this.encoding) return false;
    if (this.socket.bufferedAmount > MOST_WAITING) return false;
    this.taken.set(time, performance.now());
    draw(video, this.shortSide, this.canvas);
    this.encoding = this.encode(time).catch(
      (error) => this.handlers.ended(`No picture is made: ${error.message}`),
    ).then(() => { this.encoding = null; });
    return true;
  }

  async encode(time) {
    const blob = await new Promise(
      (resolve) => this.canvas.toBlob(resolve, 'image/jpeg', QUALITY));
    const jpeg = new Uint8Array(await blob.arrayBuffer());
    const message = new Uint8Array(8 + jpeg.length);
    new DataView(message.buffer).setFloat64(0, time, true);
    message.set(jpeg, 8);
    this.send(message);
  }

  restart() {
    this.restarts += 1;
    this.taken.clear();
    this.say('restart');
  }

  close() {
    this.say('end');
  }

  // Comes after the picture that is being made, which is of the same stream.
  async say(what) {
    await this.encoding;
    this.send(JSON.stringify({do: what}));
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  answer(found) {
    const old = this.restarts > 0;
    this.restarts -= found.restarted ?? 0;
    const frame = 'time' in found && !old;
    const latency = frame ? this.latency(found.time) : null;
    const top = (found.top ?? []).map(
      ([index, probability]) => ({label: this.labels[index], probability}));
    this.handlers.answer({...found, top, latency, frame, old});
  }

  latency(answered) {
    const taken = this.taken.get(answered);
    for (const time of this.taken.keys()) {  // dropped ones have no answer
      if (time <= answered) this.taken.delete(time);
    }
    return taken === undefined ? null : performance.now() - taken;
  }
}
