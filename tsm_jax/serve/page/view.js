// What is to be seen: label, bars, numbers, events. No text is taken as HTML.

import {Timeline, colour} from './timeline.js';

const BARS = 5;
const EVENTS = 20;  // rows
const RECENT = 3000;  // milliseconds, over which numbers are taken

const byId = (id) => document.getElementById(id);
const timeline = new Timeline(byId('timeline'));
let indices = new Map();  // of labels
let recent = [];  // [{at, latency}] of answers
let droppedHere = 0;
let droppedThere = 0;

const percent = (x) => `${(100 * x).toFixed(1)} %`;
const seconds = (x) => `${x.toFixed(2)} s`;

function make(tag, text, ...children) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.append(...children);
  return element;
}

function say(message) {
  byId('message').textContent = message;
  byId('message').hidden = !message;
}

// A source is being opened.
export function started() {
  say('');
  byId('stop').disabled = false;
  recent = [];
  droppedHere = droppedThere = 0;
  for (const name of ['rate', 'latency', 'dropped']) {
    byId(name).textContent = '–';
  }
  byId('events').replaceChildren();
  restart();
}

// What is told of the model.
export function note(text) {
  byId('about').textContent = text;
}

// A model waits for pictures.
export function ready(model) {
  note(model.about);
  indices = new Map(model.labels.map((label, index) => [label, index]));
}

// Another stream begins.
export function restart() {
  timeline.clear();
  byId('label').textContent = '–';
  byId('bars').replaceChildren();
}

// The stream is over; the message says why, '' if that is well.
export function stopped(message) {
  byId('stop').disabled = true;
  say(message);
}

// Pictures that never came to the model.
export function dropped(steps) {
  droppedHere += steps;
  byId('dropped').textContent = droppedHere + droppedThere;
}

export function answer(found) {
  for (const event of found.events) {
    addRow(event);
    if (!found.old) timeline.addEvent(event);  // it has another time
  }
  if (found.frame) {
    byId('label').textContent = found.label || '–';
    byId('bars').replaceChildren(...found.top.slice(0, BARS).map(bar));
    timeline.add(found.time, found.top);
    droppedThere = found.dropped;
    count(found.latency);
  }
  timeline.draw(indices);
}

function bar({label, probability}) {
  const inner = document.createElement('div');
  inner.style.width = `${100 * probability}%`;
  inner.style.background = colour(indices.get(label));
  const text = make('p', '', make('span', label),
    make('span', percent(probability)));
  const element = make('div', '', text, make('div', '', inner));
  element.className = 'bar';
  return element;
}

function addRow(event) {
  const row = make('tr', '', make('td', event.label),
    make('td', seconds(event.start)), make('td', seconds(event.end)),
    make('td', percent(event.score)));
  byId('events').prepend(row);
  if (byId('events').rows.length > EVENTS) byId('events').lastChild.remove();
}

function count(latency) {
  const now = performance.now();
  recent.push({at: now, latency});
  recent = recent.filter(({at}) => at > now - RECENT);
  const span = (now - recent[0].at) / 1000;
  if (span > 0.5) {
    byId('rate').textContent = ((recent.length - 1) / span).toFixed(1);
  }
  const known = recent.map((one) => one.latency).filter((x) => x !== null);
  known.sort((a, b) => a - b);
  const median = known[Math.floor(known.length / 2)];
  byId('latency').textContent = known.length ? `${median.toFixed(0)} ms` : '–';
  byId('dropped').textContent = droppedHere + droppedThere;
}
