// The curves of a run: loss, residual, and how many parameters helped.

import uPlot from './uPlot.esm.js'

const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const font = '11px system-ui, sans-serif'

const kinds = {
  loss: {
    label: 'loss, nat', height: 190, log: true, keys: ['loss', 'held'],
    series: [{label: 'loss', stroke: () => style('--ink'), width: 1.5},
             {label: 'held out', stroke: () => style('--second'), width: 1.25, dash: [5, 3]}],
  },
  res: {
    label: 'residual, nat', height: 110, keys: ['res'],
    series: [{label: 'residual', stroke: () => style('--ink'), width: 1}],
  },
  help: {
    label: 'helped, %', height: 146, keys: ['q'], xLabel: 'training step', half: true,
    series: [{label: 'helped', stroke: () => style('--helps'), width: 1.25}],
  },
}

// On a logarithmic axis 1, 2, 5, 10 ... have lines and labels, or more where these are few.
function logSplits(u, axis, min, max) {
  for (const steps of [[1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]]) {
    const at = []
    for (let p = Math.floor(Math.log10(min)); p <= Math.log10(max); p++)
      at.push(...steps.map(m => m * 10 ** p).filter(v => v >= min && v <= max))
    if (at.length > 2) return at
  }
  return [min, Math.sqrt(min * max), max].map(v => +v.toPrecision(3))
}

function short(v) {
  const size = Math.abs(v)
  return v === 0 ? '0' : size < 1e-3 || size >= 1e5 ? v.toExponential(0) : String(+v.toPrecision(3))
}

// A little room above and below; a logarithmic axis does not go on to whole powers.
const logRange = (u, min, max) => min > 0 ? [min / 1.15, max * 1.15] : [0.1, 1]

// Half of the parameters: where help and harm are even. And the step that is shown.
function drawMarks(kind, at) {
  return u => {
    const c = u.ctx, {left, top, width, height} = u.bbox
    c.save()
    if (kind.half) {
      const y = u.valToPos(50, 'y', true)
      c.strokeStyle = style('--quiet')
      c.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio])
      if (y > top && y < top + height) line(c, left, y, left + width, y)
    }
    c.setLineDash([])
    const x = at() === null ? null : u.valToPos(at(), 'x', true)
    c.strokeStyle = style('--accent')
    if (x !== null && x >= left && x <= left + width) line(c, x, top, x, top + height)
    c.restore()
  }
}

function line(c, x0, y0, x1, y1) {
  c.lineWidth = devicePixelRatio
  c.beginPath()
  c.moveTo(x0, y0)
  c.lineTo(x1, y1)
  c.stroke()
}

export class Curves {
  // onStep(it): somebody has pointed at a step.
  constructor(card, key, onStep) {
    this.at = null
    this.plots = [...card.querySelectorAll('.curve')].map(box => {
      const kind = kinds[box.dataset.of]
      const plot = new uPlot(this.options(kind, box, key), [[], ...kind.keys.map(() => [])], box)
      plot.over.addEventListener('click', () => {
        const k = plot.cursor.idx
        if (k !== null && k !== undefined && plot.data[0].length) onStep(plot.data[0][k])
      })
      box.setAttribute('role', 'img')
      return {kind, plot, box}
    })
    new ResizeObserver(() => this.resize()).observe(card)
  }

  options(kind, box, key) {
    const axis = {stroke: () => style('--quiet-text'), font, labelFont: font, labelSize: 16,
                  grid: {stroke: () => style('--line'), width: 1},
                  ticks: {stroke: () => style('--line'), width: 1, size: 4}}
    return {
      width: this.width(box), height: kind.height, padding: [6, 6, 0, 0],
      legend: {show: false},
      cursor: {sync: {key}, points: {size: 5}, drag: {x: false, y: false}, y: false},
      scales: {x: {time: false}, y: kind.log ? {distr: 3, range: logRange} : {}},
      axes: [
        {...axis, size: kind.xLabel ? 26 : 20, label: kind.xLabel, gap: 3,
         values: (u, v) => v.map(x => x % 1 ? '' : x)},
        {...axis, ...(kind.log ? {splits: logSplits, filter: (u, splits) => splits} : {}),
         size: 54, gap: 4, space: 26, label: kind.label, values: (u, v) => v.map(x => x === null ? '' : short(x))},
      ],
      series: [{}, ...kind.series.map(s => ({points: {show: false}, spanGaps: true, ...s}))],
      hooks: {draw: [drawMarks(kind, () => this.at)]},
    }
  }

  width(box) {
    return Math.max(120, Math.floor(box.clientWidth))
  }

  resize() {
    for (const {kind, plot, box} of this.plots)
      if (plot.width !== this.width(box)) plot.setSize({width: this.width(box), height: kind.height})
  }

  // trace: {it, loss, held, res, p, q}; at: the step shown, or null at the live end.
  draw(trace, at) {
    this.at = at
    for (const {kind, plot, box} of this.plots) {
      plot.setData([trace.it, ...kind.keys.map(k => trace[k])])
      const last = trace[kind.keys[0]].at(-1)
      box.setAttribute('aria-label', `Curve of ${kind.label}, over ${trace.it.length} steps` +
                       (typeof last === 'number' ? `; last ${short(last)}` : ''))
    }
  }

  redraw() {
    for (const {plot} of this.plots) plot.redraw()
  }
}
