// Which pictures a model is shown, by their times: as stream.frames.pace.Pace.

const TOLERANCE = 1e-3;  // seconds, by which containers round times
const MOST = 8;  // steps that one picture may stand for

export class Pace {
  // Steps are due at the first picture's time and every `interval` seconds
  // after it; each shows the first picture that is not earlier than it.
  constructor(interval, most = MOST) {
    this.interval = interval;
    this.most = most;
    this.tolerance = Math.min(TOLERANCE, interval / 10);
    this.restart();
  }

  restart() {
    this.first = null;
    this.steps = 0;
  }

  // How many steps show the picture of this time: 0 if it is passed over.
  take(time) {
    this.first ??= time;
    const passed = time - this.first + this.tolerance;
    const due = Math.floor(passed / this.interval) + 1 - this.steps;
    if (due <= 0) return 0;
    this.steps += due;
    return Math.min(due, this.most);
  }
}

// The times of `count` steps that show the picture of `time`, after a step at
// `last` (null: none): as stream.frames.due.spread.
export function spread(last, time, count, interval) {
  if (last === null) return [time];
  const apart = Math.min((time - last) / count, interval);
  return Array.from({length: count}, (_, i) => time - apart * (count - 1 - i));
}
