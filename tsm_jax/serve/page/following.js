// What the worker does: pictures to pixels, to probabilities, to events.

import * as litert from './litert.js';
import {fetched} from './fetched.js';
import {spread} from './pace.js';
import * as pixels from './pixels.js';
import * as rule from './rule.js';

const TOP = 10;  // labels of an answer

let card, interval, model, canvas;
const streams = new Map();  // {decider, steps, last} by their numbers

// Answers a message, see local.js.
export async function hear(message) {
  switch (message.do) {
    case 'open': return {opened: await open()};
    case 'begin': return begin(message);
    case 'show': return {answer: await show(message)};
    case 'end': return {ended: end(message)};
  }
}

async function open() {
  card = await (await fetched('card.json')).json();
  const page = await (await fetched('page.json')).json();
  interval = page.interval;
  model = await litert.open(card);
  canvas = new OffscreenCanvas(1, 1);
  return {labels: card.labels, interval, about: page.about};
}

function begin({stream}) {
  const decider = rule.create(card.rule, card.labels);
  streams.set(stream, {decider, steps: model.begin(), last: null});
  return {};
}

function end({stream}) {
  const {decider, steps} = streams.get(stream);
  streams.delete(stream);
  steps.free();
  return decider.end();
}

async function show({stream, picture, time, steps: count}) {
  const square = prepare(picture), one = streams.get(stream);
  const {decider, steps} = one, events = [];
  let probabilities;
  for (const second of spread(one.last, time, count, interval)) {
    probabilities = await steps.next(square);
    one.last = second;
    events.push(...decider.add(second, rule.logits(probabilities)));
  }
  const {label, score} = decider;
  return {time, label, score, top: top(probabilities), events};
}

function prepare(picture) {
  const {width, height} = picture;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  picture.close();
  const {data} = context.getImageData(0, 0, width, height);
  const {short_side, image_size} = card.preprocessing;
  const how = {short_side, image_size, stored_size: card.stored_size};
  return pixels.prepare(data, width, height, how, card.rule.bgr);
}

function top(probabilities) {
  const found = Array.from(
    probabilities, (probability, i) => ({label: card.labels[i], probability}));
  return found.sort((a, b) => b.probability - a.probability).slice(0, TOP);
}
