// A layer's cells as a picture: bluish green where they helped, vermillion where they hurt.

import {cell as cellText, stretch} from './format.js'

const SCALE = 32767     // of the 16 bit integers that cells travel as: see docs/live-page.md
const SHADES = 255      // on either side of 0

// [0, SHADES] hurts, [SHADES+1 ...] helps: 32 bit pixels, of the theme's colours.
let shades = null

function rgb(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  return [1, 3, 5].map(k => parseInt(text.slice(k, k + 2), 16))
}

const mixed = (a, b, t) => a.map((v, k) => Math.round(v + (b[k] - v) * t))
const pixel = c => ((255 << 24) | (c[2] << 16) | (c[1] << 8) | c[0]) >>> 0

// From what is next to nothing to a colour that stands out, then to one that glows.
export function useTheme() {
  const zero = rgb('--zero')
  shades = new Uint32Array(2 * (SHADES + 1))
  for (const [side, name] of [[0, 'hurts'], [1, 'helps']]) {
    const base = rgb(`--${name}`), most = rgb(`--${name}-most`)
    for (let k = 0; k <= SHADES; k++) {
      const t = k / SHADES
      const colour = t < 0.65 ? mixed(zero, base, t / 0.65) : mixed(base, most, (t - 0.65) / 0.35)
      shades[side * (SHADES + 1) + k] = pixel(colour)
    }
  }
}

function shade(level) {
  const k = Math.min(SHADES, Math.round(Math.abs(level) * SHADES))
  return shades[(level < 0 ? SHADES + 1 : 0) + k]
}

// CSS colour of a value, -1 .. 1 of the largest.
export function colour(v) {
  const p = shade(Math.sign(v) * Math.sqrt(Math.abs(v)))
  return `rgb(${p & 255} ${(p >> 8) & 255} ${(p >> 16) & 255})`
}

// Whether dark text is the better on it.
export function isLight(v) {
  const p = shade(Math.sign(v) * Math.sqrt(Math.abs(v)))
  return 0.299 * (p & 255) + 0.587 * ((p >> 8) & 255) + 0.114 * ((p >> 16) & 255) > 140
}

export function drawLegend(canvas) {
  const image = new ImageData(2 * SHADES + 1, 1), to = new Uint32Array(image.data.buffer)
  for (let k = -SHADES; k <= SHADES; k++) to[k + SHADES] = shade(k / SHADES)
  canvas.width = 2 * SHADES + 1
  canvas.getContext('2d').putImageData(image, 0, 0)
}

// The cells of a view: {by, first, max, cells} -> Int16Array
export function unpack(map) {
  const text = atob(map.cells), bytes = new Uint8Array(text.length)
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k)
  return new Int16Array(bytes.buffer)
}

const less = (n, by) => Math.ceil(n / by)

// How many cells a layer has in a picture made smaller by `by`.
export function cellsOf(layer, by) {
  return layer.patches.reduce((n, p) => n + less(p.rows, by) * less(p.cols, by), 0)
}

// The picture of one layer: its kernel, and below it, one row each, bias and batch norm, as
// wide: an output's bias stands below its weights.
export class Heat {
  constructor(layer, by, {onChoose, onRead}) {
    this.layer = layer
    this.by = by
    this.onRead = onRead
    this.rows = 0
    this.cols = 1
    this.places = []            // of each patch: the row at which it begins, how many cells it has
    for (const p of layer.patches) {
      if (this.rows > 0) this.rows += 1
      const rows = less(p.rows, by), cols = less(p.cols, by)
      this.places.push({patch: p, top: this.rows, rows, cols})
      this.rows += rows
      this.cols = Math.max(this.cols, cols)
    }
    this.image = new ImageData(this.cols, this.rows)
    this.pixels = new Uint32Array(this.image.data.buffer)
    this.cells = null
    this.max = 0
    this.scale = 0
    this.element = document.createElement('figure')
    this.element.className = 'heat'
    this.box = document.createElement('div')
    this.box.className = 'box'
    this.canvas = document.createElement('canvas')
    this.canvas.width = this.cols
    this.canvas.height = this.rows
    this.canvas.tabIndex = 0
    this.canvas.setAttribute('role', 'img')
    this.mark = document.createElement('div')
    this.mark.className = 'mark'
    this.mark.hidden = true
    this.caption = document.createElement('figcaption')
    this.name = document.createElement('b')
    this.name.textContent = layer.name.replaceAll('/', '/\u200b')    // where it may be parted
    this.value = document.createElement('span')
    this.caption.append(this.name, ' ', this.value)
    this.box.append(this.canvas, this.mark)
    this.element.append(this.box, this.caption)
    this.context = this.canvas.getContext('2d')
    this.at = null              // the cell that is read: {row, col} of the picture
    this.listen(onChoose)
  }

  listen(onChoose) {
    const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}
    this.canvas.addEventListener('pointermove', e => {
      const r = this.canvas.getBoundingClientRect()
      this.read(Math.floor((e.clientY - r.top) / r.height * this.rows),
                Math.floor((e.clientX - r.left) / r.width * this.cols))
    })
    this.canvas.addEventListener('pointerleave', () => this.read(null))
    this.canvas.addEventListener('blur', () => this.read(null))
    this.canvas.addEventListener('click', onChoose)
    this.canvas.addEventListener('keydown', e => {
      if (e.key === 'Enter') {
        onChoose()
      } else if (e.key in moves && !e.shiftKey) {
        const [down, right] = moves[e.key], at = this.at ?? {row: 0, col: -right}
        this.read(Math.min(this.rows - 1, Math.max(0, at.row + down)),
                  Math.min(this.cols - 1, Math.max(0, at.col + right)), down)
      } else {
        return
      }
      e.preventDefault()
      e.stopPropagation()
    })
  }

  // q: the layer's cells; max: nat, of the largest; scale: nat, what has the full colour.
  draw(q, max, scale) {
    this.cells = q
    this.max = max
    this.scale = scale
    const factor = scale > 0 ? Math.sqrt(max / scale) / SCALE : 0
    let k = 0
    for (const {top, rows, cols} of this.places)
      for (let r = 0; r < rows; r++, k += cols)
        for (let c = 0; c < this.cols; c++)
          this.pixels[(top + r) * this.cols + c] = shade(q[k + Math.floor(c * cols / this.cols)] * factor)
    this.context.putImageData(this.image, 0, 0)
    if (this.at) this.read(this.at.row, this.at.col)
  }

  // Says what the cell at a place of the picture is, and marks it. No row: nothing.
  read(row, col, down = 0) {
    this.at = null
    this.mark.hidden = true
    if (row === null || !this.cells) return this.onRead('')
    let first = 0
    for (const place of this.places) {
      const {patch, top, rows, cols} = place
      // between two patches: on to the next
      const r = (row === top - 1 && down > 0 ? top : row === top + rows && down < 0 ? row - 1 : row) - top
      if (r >= 0 && r < rows) {
        const cell = Math.floor(col * cols / this.cols), q = this.cells[first + r * cols + cell]
        this.at = {row: r + top, col}
        this.show(r + top, cell * this.cols / cols, this.cols / cols)
        const value = Math.sign(q) * (q / SCALE) ** 2 * this.max
        return this.onRead(`${this.describe(patch, r, cell)}: ${cellText(value)} nat`)
      }
      first += rows * cols
    }
    this.onRead('')
  }

  show(row, left, wide) {
    const style = this.mark.style
    style.left = `${100 * left / this.cols}%`
    style.top = `${100 * row / this.rows}%`
    style.width = `${100 * wide / this.cols}%`
    style.height = `${100 / this.rows}%`
    this.mark.hidden = false
  }

  describe(patch, row, col) {
    const side = (name, at, cells, fine, pixels, per, n) => {
      const from = at * this.by, to = Math.min(from + this.by, cells) - 1
      if (fine) return stretch(name, Math.floor(from / pixels), Math.floor(to / pixels))
      return stretch(name, from * per, Math.min((to + 1) * per, n) - 1)
    }
    const out = side('output', col, patch.cols, patch.col_pixels, patch.width, patch.per_col, patch.out)
    if (patch.kind !== 'kernel') return `${this.layer.name} ${patch.kind}, ${out}`
    const from = side('input', row, patch.rows, patch.row_pixels, patch.height, patch.per_row, patch.in)
    return `${this.layer.name}, ${from}, ${out}`
  }
}
