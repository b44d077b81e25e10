// The scores of the last seconds as curves, and the events as bars under them.

const SPAN = 30;  // seconds
const CURVES = 8;
const BAR = 14;  // pixels of the row of events
const MARGIN = {left: 42, right: 6, top: 6, bottom: 18};

// The colour of a class by its index: neighbours are far apart.
export function colour(index) {
  return `hsl(${(210 + 137.5 * index) % 360} 60% 52%)`;
}

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.points = [];  // [time, Map from labels to probabilities]
    this.events = [];
    this.waiting = false;
  }

  add(time, top) {
    const scores = new Map(top.map((one) => [one.label, one.probability]));
    this.points.push([time, scores]);
    while (this.points[0][0] < time - SPAN) this.points.shift();
    this.events = this.events.filter(({end}) => end > time - SPAN);
  }

  addEvent(event) {
    this.events.push(event);
  }

  // Draws with the screen's next picture; `indices` maps labels to indices.
  draw(indices) {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.points.length) this.paint(indices);
    });
  }

  paint(indices) {
    const {canvas, points} = this;
    const {width, height} = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    const end = points.at(-1)[0];
    const start = Math.max(points[0][0], end - SPAN);
    const right = width - MARGIN.right;
    const low = height - MARGIN.bottom - BAR - 4;
    const x = (time) => MARGIN.left +
      (right - MARGIN.left) * (time - start) / Math.max(end - start, 5);
    const y = (score) => low - (low - MARGIN.top) * score;
    this.paintAxes(context, x, y, right, height, start);
    for (const label of this.shown()) {
      context.strokeStyle = colour(indices.get(label));
      context.lineWidth = 1.8;
      context.beginPath();
      for (const [time, scores] of points) {
        context.lineTo(x(time), y(scores.get(label) ?? 0));
      }
      context.stroke();
    }
    for (const {label, start: from, end: to} of this.events) {
      context.fillStyle = colour(indices.get(label));
      const left = Math.max(x(from), MARGIN.left);
      context.fillRect(left, low + 4, Math.max(x(to) - left, 2), BAR);
    }
  }

  paintAxes(context, x, y, right, height, start) {
    const style = getComputedStyle(this.canvas);
    context.fillStyle = style.getPropertyValue('color');
    context.strokeStyle = style.getPropertyValue('border-top-color');
    context.font = '11px system-ui, sans-serif';
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const score of [0, 0.5, 1]) {
      context.fillText(`${100 * score} %`, MARGIN.left - 4, y(score));
      context.beginPath();
      context.moveTo(MARGIN.left, y(score));
      context.lineTo(right, y(score));
      context.stroke();
    }
    context.textAlign = 'center';
    for (let time = Math.ceil(start / 5) * 5; x(time) <= right; time += 5) {
      context.fillText(`${time} s`, x(time), height - 7);
    }
  }

  // The labels whose curves are drawn: those of events, then the most probable.
  shown() {
    const peaks = new Map();
    for (const [, scores] of this.points) {
      for (const [label, score] of scores) {
        peaks.set(label, Math.max(score, peaks.get(label) ?? 0));
      }
    }
    for (const {label} of this.events) peaks.set(label, 2);
    const sorted = [...peaks].sort((a, b) => b[1] - a[1]);
    return sorted.slice(0, CURVES).map(([label]) => label);
  }
}
