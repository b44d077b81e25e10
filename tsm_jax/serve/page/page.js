// What the page does: pictures of a source go to a model, its answers to view.
//
// A model is what `connect(handlers)` resolves to, an object with
//   labels: class names by index;
//   interval: seconds between two frames, as its training saw them;
//   about: a sentence about it;
//   show(video, time, steps): shows it what the video element has now, at a
//     time in seconds, as so many steps; false if it is busy, and the picture
//     is dropped;
//   restart(): what comes is another stream, whose times begin anew;
//   close(): ends the stream; its last events still come.
//
// It calls handlers.answer(answer) with
//   time, in seconds; label, '' for nothing, and score, by the rule;
//   top: [{label, probability}], the most probable first;
//   events: [{label, start, end, score}], those that have ended;
//   latency: milliseconds from the picture to the answer, or null;
//   dropped: steps so far whose picture was replaced by a newer one;
//   frame: whether it answers a picture; else it has only events;
//   old: whether these are of the stream before a restart;
// and handlers.ended(message) when it is closed, with '' if all is well, and
// handlers.note(text) with what it does before it is there.

import {Pace} from './pace.js';
import * as source from './source.js';
import * as view from './view.js';

let stopCurrent = () => {};

// Binds the buttons; `connect` makes the model of a source that is started.
export function start(connect) {
  const byId = (id) => document.getElementById(id);
  const video = byId('video');
  byId('camera').onclick = () => run(connect, video, source.openCamera);
  byId('file').onchange = (event) => {
    const [file] = event.target.files;
    event.target.value = '';  // so that the same file can be chosen again
    if (!file) return;
    run(connect, video, (video, over) => source.openFile(video, file, over));
  };
  byId('stop').onclick = () => stopCurrent();
}

async function run(connect, video, open) {
  stopCurrent();
  let opened = null;
  let model = null;
  let over = false;
  const stop = (message = '') => {
    if (over) return;
    over = true;
    opened?.close();
    model?.close();
    view.stopped(message);
  };
  stopCurrent = stop;
  view.started();
  try {
    opened = await open(video, () => over);
    if (over) return;
    const answer = (found) => stopCurrent === stop && view.answer(found);
    model = await connect({answer, ended: stop, note: view.note});
    if (over) return model.close();
  } catch (error) {
    stop(error.message);
    return;
  }
  view.ready(model);
  follow(opened, model, stop);
}

// Shows a model the pictures that are due.
function follow(opened, model, stop) {
  const pace = new Pace(model.interval);
  opened.start({
    picture(video, time) {
      const steps = pace.take(time);
      if (steps && !model.show(video, time, steps)) view.dropped(steps);
    },
    restart() {
      pace.restart();
      model.restart();
      view.restart();
    },
    ended: stop,
  });
}
