// One run: its readings, pictures, curves and tables.

import {Curves} from './curves.js'
import {Heat, cellsOf, colour, drawLegend, isLight, unpack} from './heat.js'
import {count, nat, percent, power, rate, unit} from './format.js'

const states = {
  waiting: 'waiting for the run', live: 'live', playing: 'playing', gone: 'lost, waiting for its return',
  ended: 'ended', interrupted: 'interrupted', failed: 'failed', bad: 'cannot be read on',
}
const keys = ['it', 'loss', 'held', 'res', 'p', 'q']
const set = (element, text) => { if (element.textContent !== text) element.textContent = text }

export class Card {
  // on: {choose(layer), step(it)}
  constructor(info, on) {
    this.element = document.getElementById('card').content.firstElementChild.cloneNode(true)
    this.$ = s => this.element.querySelector(s)
    this.on = on
    this.heats = []
    this.heatsOf = ''
    this.peaks = []
    this.rows = []
    this.classCells = null
    this.view = null
    this.trace = null
    this.beginning = -1
    this.readouts = Object.fromEntries([...this.element.querySelectorAll('dd')].map(e => [e.dataset.of, e]))
    this.$('h2').id = `run-${info.id}`
    this.element.setAttribute('aria-labelledby', `run-${info.id}`)
    this.tell(info)
    new ResizeObserver(() => this.fit()).observe(this.$('.maps'))
  }

  // What does not change with each step.
  tell(info) {
    this.info = info
    set(this.$('h2'), info.name)
    const chip = this.$('.chip')
    chip.dataset.state = info.state
    set(chip, states[info.state] ?? info.state)
    this.$('.why').hidden = !info.why
    set(this.$('.why'), info.why)
    if (!info.head) return
    const h = info.head, N = h.data?.sets?.[0]?.N
    set(this.$('.about'), [h.model, `${count(h.P)} parameters`, N && `${count(N)} examples of ${h.data.name}`, h.rule]
      .filter(Boolean).join(', '))
    if (info.beginning === this.beginning) return
    this.beginning = info.beginning
    this.heatsOf = ''
    this.peaks = []
    this.view = this.trace = null
    this.makeLayers()
    this.makeClasses()
  }

  makeLayers() {
    const body = this.$('.layers tbody'), kinds = new Set(this.info.layers.flatMap(l => l.patches.map(p => p.kind)))
    kinds.delete('kernel')
    this.below = [...kinds].join(', ') || 'nothing'
    this.rows = this.info.layers.map((layer, l) => {
      const tr = document.createElement('tr')
      tr.innerHTML = '<th scope="row"><button type="button"></button></th><td class="bar"><div><i></i></div></td>' +
        '<td class="n"></td><td class="n"></td>'
      const button = tr.querySelector('button')
      button.textContent = layer.name
      button.title = `${count(layer.parameters)} parameters`
      button.addEventListener('click', () => this.on.choose(l))
      return {tr, bar: tr.querySelector('i'), value: tr.children[2], help: tr.children[3]}
    })
    body.replaceChildren(...this.rows.map(r => r.tr))
  }

  makeClasses() {
    const part = this.$('.classes'), table = part.querySelector('table')
    part.hidden = !this.info.head.bycls
    // of many layers the list goes where there is room
    const columns = this.element.querySelectorAll('.column'), long = part.hidden && this.info.layers.length > 8
    columns[long ? 1 : 0].append(this.$('.layers'))
    this.classCells = null
    table.replaceChildren()
    if (part.hidden) return
    const cell = (tag, text, scope) => {
      const e = document.createElement(tag)
      if (scope) e.scope = scope
      e.textContent = text
      return e
    }
    const top = table.createTHead().insertRow(), body = table.createTBody()
    top.append(cell('th', 'class', 'col'), ...this.info.layers.map(l => cell('th', l.name, 'col')))
    this.classCells = this.info.head.classes.map(c => {
      const tr = body.insertRow()
      tr.append(cell('th', c.name, 'row'))
      return this.info.layers.map(() => tr.appendChild(document.createElement('td')))
    })
  }

  // A view, live or fetched: keeps it for the next drawing.
  take(view) {
    if (view.it === undefined) return
    this.view = view
    const t = view.trace
    if (!t) return
    if (t.whole || !this.trace) this.trace = Object.fromEntries(keys.map(k => [k, t[k]]))
    else for (const k of keys) this.trace[k].push(...t[k])
  }

  draw(paused, options) {
    const v = this.view
    if (!v) return
    this.drawReadout(v)
    const span = v.steps === 1 ? `step ${v.it}` : `steps ${v.from}–${v.it}`
    const missed = v.missed ? `, ${count(v.missed)} missed` : ''
    const of = v.class >= 0 ? `, class ${this.info.head.classes[v.class].name}` : ''
    set(this.$('.network .of'), span + missed + of)
    set(this.$('.layers .of'), span + missed + of)
    set(this.$('.classes .of'), '')
    this.drawMaps(v, options)
    this.drawLayers(v)
    if (this.classCells) this.drawClasses(v, span + missed)
    if (this.trace) {
      this.curves ??= new Curves(this.element, 'lca', this.on.step)
      this.curves.draw(this.extended(v), paused ? v.it : null)
    }
  }

  drawReadout(v) {
    const last = this.info.head.it1 ? ` / ${this.info.head.it1 - 1}` : ''
    const shown = {step: `${v.it}${last}`, loss: nat(v.loss), held: nat(v.held), res: nat(v.res),
                   q: percent(v.q[0]), rate: rate(this.info.state === 'live' ? v.rate : null)}
    for (const k in shown) set(this.readouts[k], shown[k])
  }

  // The curves reach to the newest step, also where only every so many of it are kept.
  extended(v) {
    const t = this.trace
    if (!t.it.length || t.it.at(-1) >= v.it) return t
    const point = {it: v.it, loss: v.loss, held: v.held, res: v.res, p: v.p[0], q: v.q[0]}
    return Object.fromEntries(keys.map(k => [k, [...t[k], point[k]]]))
  }

  // The full colour is that of the largest cell lately: it falls off slowly, so that a
  // step that does little is seen to do little.
  peak(l, max, live) {
    this.peaks[l] = Math.max(max, live ? 0.93 * (this.peaks[l] ?? 0) : 0)
    return this.peaks[l]
  }

  drawMaps(v, {scale, fresh}) {
    const {by, first, max, cells} = v.map, shown = this.info.layers.slice(first, first + max.length)
    const of = `${this.beginning} ${first} ${max.length} ${by}`
    if (of !== this.heatsOf) {
      const single = v.layer >= 0
      this.heats = shown.map((layer, k) => new Heat(layer, by, {
        onChoose: () => this.on.choose(single ? -1 : first + k),
        onRead: text => set(this.$('.cell'), text),
      }))
      const box = this.$('.maps')
      box.classList.toggle('single', single)
      box.replaceChildren(...this.heats.map(h => h.element))
      this.heatsOf = of
      this.peaks = []
      this.useTheme()
      this.fit()
    }
    const q = unpack(v.map), peaks = max.map((m, k) => this.peak(k, m, !fresh)), most = Math.max(...peaks)
    let at = 0
    this.heats.forEach((h, k) => {
      const n = cellsOf(h.layer, by), value = v.layers[first + k]
      h.draw(q.subarray(at, at + n), max[k], scale === 'shared' ? most : peaks[k])
      at += n
      set(h.value, nat(value))
      h.value.className = value < 0 ? 'helps' : value > 0 ? 'hurts' : ''
      h.canvas.setAttribute('aria-label', `${h.layer.name}: ${nat(value)} nat; arrows read cells, enter ${
        v.layer >= 0 ? 'shows all layers' : 'shows it alone'}`)
    })
    const full = scale === 'shared' || max.length === 1 ? `${nat(most)} nat a cell` : 'the largest cell of each layer'
    set(this.$('.legend .range'), `full colour at ${full}; rows are inputs, columns outputs, below them ${this.below}`)
  }

  // All layers side by side in one row, as large as it allows, or else in several rows.
  fit() {
    const box = this.$('.maps'), room = box.clientWidth, gap = 14
    const ratios = this.heats.map(h => Math.min(1.6, Math.max(0.34, h.cols / h.rows)))
    if (box.classList.contains('single')) {
      const [h] = this.heats, wide = Math.min(room, 620, 560 * Math.max(0.45, h.cols / h.rows))
      h.element.style.width = `${wide}px`
      h.box.style.height = `${Math.min(560, Math.max(120, wide * h.rows / h.cols))}px`
      return
    }
    const one = (room - gap * ratios.length) / ratios.reduce((a, r) => a + r, 0)
    const tall = one < 96 ? 108 : Math.min(270, one)
    this.heats.forEach((h, k) => {
      h.element.style.width = `${Math.max(one < 96 ? 90 : 54, Math.floor(tall * ratios[k]))}px`
      h.box.style.height = `${Math.floor(tall)}px`
    })
  }

  drawLayers(v) {
    const most = v.layers.reduce((a, x) => Math.max(a, Math.abs(x)), 0) || 1
    v.layers.forEach((x, l) => {
      const {tr, bar, value, help} = this.rows[l], part = 50 * Math.abs(x) / most
      bar.className = x < 0 ? 'helps' : 'hurts'
      bar.style.width = `${part}%`
      bar.style.left = x < 0 ? `${50 - part}%` : '50%'
      set(value, nat(x))
      set(help, percent(v.q[l + 1]))
      tr.classList.toggle('chosen', v.layer === l)
    })
  }

  drawClasses(v, span) {
    const all = v.classes.flat(), p = power(all), most = all.reduce((a, x) => Math.max(a, Math.abs(x)), 0) || 1
    set(this.$('.classes .of'), `${span}, ${unit(p)}`)
    v.classes.forEach((row, c) => row.forEach((x, l) => {
      const td = this.classCells[c][l]
      set(td, (x / 10 ** p).toPrecision(3))
      td.style.background = colour(x / most)
      td.className = isLight(x / most) ? 'light' : 'dark'
    }))
  }

  useTheme() {
    drawLegend(this.$('.legend canvas'))
    this.curves?.redraw()
  }
}
