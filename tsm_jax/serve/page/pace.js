// Which frames of a camera or video a model is shown, by their times.

const TOLERANCE = 1e-3;  // seconds, by which the times of frames are rounded
const MOST = 8;  // steps that one frame may stand for

// Steps are due at the first frame's time and every `interval` seconds after
// it. Each shows the first frame that is not earlier than it, so that frames of
// a faster camera are passed over, and those of a slower one shown again.
export class Pace {
  constructor(interval) {
    this.interval = interval;
    this.tolerance = Math.min(TOLERANCE, interval / 10);
    this.restart();
  }

  restart() {
    this.start = null;
    this.steps = 0;
  }

  // How many steps show the frame of this time, in seconds.
  take(time) {
    this.start ??= time;
    const passed = time - this.start + this.tolerance;
    const due = Math.floor(passed / this.interval) + 1 - this.steps;
    if (due <= 0) return 0;
    this.steps += due;
    return Math.min(due, MOST);
  }
}

// The times of `count` steps that show the frame of `time`: they grow, and end
// with it. After a gap they are not spread all over it.
export function spread(last, time, count, interval) {
  if (last === null) return count ? [time] : [];
  const apart = Math.min((time - last) / Math.max(count, 1), interval);
  return Array.from(
    {length: count}, (_, i) => time - apart * (count - 1 - i));
}
