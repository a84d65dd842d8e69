// The page: what is chosen, what comes, and when it is drawn.

import {Card} from './card.js'
import {useTheme} from './heat.js'

const $ = id => document.getElementById(id)
const cards = new Map()                 // by the run's id
const chosen = {window: '10', class: '-1', layer: '-1', run: '', scale: 'layer'}

let source = null                       // of events; null while paused
let retry = null
let paused = false
let steps = []                          // paused: those that can be gone back to
let asked = 0                           // counts requests for views: an old answer is dropped
let dirty = false, fresh = true         // fresh: what is drawn next does not follow what was

// ---- drawing: at most once a frame, whatever comes

function draw() {
  dirty = false
  for (const card of cards.values()) card.draw(paused, {scale: chosen.scale, fresh})
  fresh = false
  if (!paused) showClock()
  if (!performance.getEntriesByName('first-picture').length && [...cards.values()].some(c => c.view))
    performance.mark('first-picture')
}

function drawSoon() {
  if (!dirty) requestAnimationFrame(draw)
  dirty = true
}

const newest = () => Math.max(-1, ...[...cards.values()].map(c => c.view?.it ?? -1))

function showClock() {
  const it = paused ? steps[$('slider').value] : newest()
  if (!paused) $('slider').value = $('slider').max
  $('clock').textContent = it === undefined || it < 0 ? 'no step yet' : `step ${it}${paused ? '' : ', newest'}`
  $('slider').setAttribute('aria-valuetext', $('clock').textContent)
}

// ---- what comes

function takeRun(info) {
  const card = cards.get(info.id)
  if (card) {
    card.tell(info)
  } else {
    const made = new Card(info, {choose: l => choose('layer', String(l)), step: goTo})
    cards.set(info.id, made)
    $('runs').append(made.element)
  }
  $('runs').dataset.count = cards.size
  offer()
  drawSoon()
}

function say(text) {
  $('notice').hidden = !text
  $('notice').textContent = text
}

const query = () => `window=${chosen.window}&class=${chosen.class}&layer=${chosen.layer}`

function listen() {
  hush()
  fresh = true
  source = new EventSource(`/api/events?${query()}${chosen.run === '' ? '' : `&runs=${chosen.run}`}`)
  source.addEventListener('open', () => say(''))
  source.addEventListener('run', e => takeRun(JSON.parse(e.data)))
  source.addEventListener('view', e => {
    const view = JSON.parse(e.data)
    cards.get(view.run)?.take(view)
    drawSoon()
  })
  source.addEventListener('error', () => {
    say('lca-web does not answer; trying again.')
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(listen, 2000)
  })
}

function hush() {
  clearTimeout(retry)
  source?.close()
  source = null
}

// ---- time

async function get(path) {
  const answer = await fetch(path)
  if (!answer.ok) throw new Error(await answer.text())
  return answer.json()
}

async function look() {
  const mine = ++asked, at = steps[$('slider').value]
  showClock()
  await Promise.all([...cards].map(async ([id, card]) => {
    try {
      const view = await get(`/api/view?run=${id}&at=${at}&${query()}`)
      if (mine !== asked || !paused) return
      card.take(view)
      fresh = true
      drawSoon()
    } catch {
      // a run that has no step yet has nothing to show
    }
  }))
}

async function pause(move = 0) {
  if (!paused) {
    const at = newest()
    const lists = await Promise.all([...cards.keys()].map(id => get(`/api/steps?run=${id}`).catch(() => [])))
    if (at < 0) return
    hush()
    paused = true
    steps = [...new Set(lists.flat())].sort((a, b) => a - b).filter(s => s <= at)
    $('slider').max = steps.length - 1
    $('slider').value = steps.length - 1
    $('slider').disabled = false
    $('pause').setAttribute('aria-pressed', 'true')
    $('pause').textContent = 'Go on'
    document.body.classList.add('paused')
  }
  $('slider').value = Math.min(steps.length - 1, Math.max(0, Number($('slider').value) + move))
  await look()
}

function goOn() {
  paused = false
  asked++
  $('slider').disabled = true
  $('slider').value = $('slider').max
  $('pause').setAttribute('aria-pressed', 'false')
  $('pause').textContent = 'Pause'
  document.body.classList.remove('paused')
  listen()
}

async function goTo(it) {
  if (!paused) await pause()
  let k = steps.findIndex(s => s >= it)
  if (k < 0) k = steps.length - 1
  $('slider').value = k
  await look()
}

// ---- choices

function fill(select, items) {
  const text = JSON.stringify(items)
  if (select.dataset.items === text) return
  select.dataset.items = text
  select.replaceChildren(...items.map(([value, name]) => new Option(name, value)))
  select.value = chosen[select.id]
  if (select.selectedIndex < 0) select.value = chosen[select.id] = items[0][0]
}

// Classes and layers of the run that has most of them: side by side they mean places.
function offer() {
  const infos = [...cards.values()].map(c => c.info).filter(i => i.head)
  const classes = infos.filter(i => i.head.bycls).map(i => i.head.classes).sort((a, b) => b.length - a.length)[0] ?? []
  const layers = infos.map(i => i.layers).sort((a, b) => b.length - a.length)[0] ?? []
  if (infos.length) {
    fill($('class'), [['-1', 'all'], ...classes.map((c, k) => [String(k), c.name])])
    fill($('layer'), [['-1', 'all'], ...layers.map((l, k) => [String(k), l.name])])
    $('class').disabled = !classes.length
    $('class').title = classes.length ? '' : 'the run has no frames by class (--by-class)'
  }
  if (chosen.run === '') fill($('run'), [['', 'all'], ...[...cards].map(([id, c]) => [String(id), c.info.name])])
  $('choose-run').hidden = $('run').options.length < 3
}

function choose(what, value) {
  chosen[what] = value
  $(what).value = value
  if (what === 'scale') return drawSoon()
  if (what === 'run') {
    for (const [id, card] of [...cards]) {
      if (value === '' || value === String(id)) continue
      card.element.remove()
      cards.delete(id)
    }
    return goOn()
  }
  if (paused) look()
  else listen()
}

function next(what, by) {
  const select = $(what), n = select.options.length
  if (!select.disabled) choose(what, select.options[(select.selectedIndex + by + n) % n].value)
}

const themes = {light: 'dark', dark: 'light'}

function setTheme(name) {
  document.documentElement.dataset.theme = name
  useTheme()
  for (const card of cards.values()) card.useTheme()
  drawSoon()
}

const systemDark = matchMedia('(prefers-color-scheme: dark)')
systemDark.addEventListener('change', () => setTheme(systemDark.matches ? 'dark' : 'light'))

// ---- hands

$('pause').addEventListener('click', () => paused ? goOn() : pause())
$('back').addEventListener('click', () => pause(-1))
$('forth').addEventListener('click', () => pause(1))
$('slider').addEventListener('input', look)
$('theme').addEventListener('click', () => setTheme(themes[document.documentElement.dataset.theme]))
for (const what of ['window', 'class', 'layer', 'scale', 'run'])
  $(what).addEventListener('change', () => choose(what, $(what).value))

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey) return
  const on = e.target.tagName, by = e.shiftKey ? 10 : 1
  const does = {
    ' ': () => paused ? goOn() : pause(),
    ArrowLeft: () => pause(-by), ArrowRight: () => pause(by),
    Home: () => pause(-1e9), End: () => pause(1e9),
    Escape: () => choose('layer', '-1'),
    w: () => next('window', 1), W: () => next('window', -1),
    c: () => next('class', 1), C: () => next('class', -1),
    l: () => next('layer', 1), L: () => next('layer', -1),
  }[e.key]
  // a list has its own keys, a button its own space, what scrolls its own arrows
  if (!does || on === 'SELECT' || (e.key === ' ' && (on === 'BUTTON' || on === 'SUMMARY'))) return
  if (e.key.length > 1 && e.key !== 'Escape' && (e.target.classList.contains('scroll') || on === 'INPUT')) return
  e.preventDefault()
  does()
})

setTheme(systemDark.matches ? 'dark' : 'light')
listen()
