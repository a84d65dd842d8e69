// page.mjs URL RESULTS SCENARIO[=ARGUMENT,...]...: checks of the live page in a real browser,
// for lca-web-page.bats. Of each, the file RESULTS/SCENARIO says "ok", or what is not as it
// should be. Prints what was measured.
import assert from 'node:assert/strict'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'

const {chromium} = await import(`${process.env.LCA_BROWSER}/node_modules/playwright-core/index.mjs`)
const [url, results, ...wanted] = process.argv.slice(2)
const origin = new URL(url).origin

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
})

const strangers = [], complaints = []

async function open(options = {}) {
  const page = await browser.newPage({viewport: {width: 1280, height: 900}, ...options})
  page.on('request', r => { if (!r.url().startsWith(origin + '/')) strangers.push(r.url()) })
  // what the page's own policy has stopped never went out
  page.on('requestfailed', r => {
    if (r.failure().errorText === 'csp') strangers.splice(strangers.indexOf(r.url()), 1)
  })
  page.on('pageerror', e => complaints.push(String(e)))
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()) })
  await page.goto(url)
  await page.waitForFunction(() => performance.getEntriesByName('first-picture').length > 0)
  return page
}

const shown = (page, what) => page.locator(`dd[data-of=${what}]`).first().innerText()
const step = async page => parseInt(await shown(page, 'step'), 10)
const until = (page, f, arg) => page.waitForFunction(f, arg, {timeout: 20000})
const untilStep = (page, t) =>
  until(page, t => parseInt(document.querySelector('dd[data-of=step]').textContent, 10) === t, t)
const rowsOf = (page, selector) => page.locator(`${selector} tr`).evaluateAll(
  rows => rows.map(tr => [...tr.querySelectorAll('td:not(.bar)')].map(td => td.textContent)))
const view = async (page, query) => page.evaluate(async q => (await fetch(`/api/view?${q}`)).json(), query)

// A text shows a number to its own last digit.
function shows(text, value, what) {
  assert.match(text, /^-?[0-9.]+(e[+-][0-9]+)?$/, `${what}: ${text}`)
  const [mantissa, exponent] = text.split('e'), decimals = (mantissa.split('.')[1] ?? '').length
  const unit = 10 ** (Number(exponent ?? 0) - decimals)
  assert.ok(Math.abs(Number(text) - value) <= 0.5000001 * unit, `${what}: shown ${text}, is ${value}`)
}

const scenarios = {
  // expected: {it, loss, held, res, q: [all, layer...], layers: [], classes: [[]]}, from lca-tap
  async numbers([file, png]) {
    const want = JSON.parse(readFileSync(file)), page = await open()
    await page.selectOption('#window', '1')
    await untilStep(page, want.it)
    await until(page, t => document.querySelector('.layers .of').textContent === `step ${t}`, want.it)
    for (const what of ['loss', 'held', 'res']) shows(await shown(page, what), want[what], what)
    shows(await shown(page, 'q'), want.q[0], 'helped')
    const layers = await rowsOf(page, '.layers tbody'), classes = await rowsOf(page, '.classes tbody')
    assert.equal(layers.length, want.layers.length)
    layers.forEach(([nat, q], l) => {
      shows(nat, want.layers[l], `layer ${l}`)
      shows(q, want.q[l + 1], `helped of layer ${l}`)
    })
    assert.equal(classes.length, want.classes.length)
    const unit = await page.locator('.classes .of').innerText(), raised = '⁰¹²³⁴⁵⁶⁷⁸⁹'
    const digits = unit.match(/10(⁻?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)/)
    const power = digits ? (digits[1] ? -1 : 1) * Number([...digits[2]].map(c => raised.indexOf(c)).join('')) : 0
    classes.forEach((row, c) => row.forEach((text, l) =>
      shows(text, want.classes[c][l] / 10 ** power, `class ${c}, layer ${l}`)))
    // a green bar to the left helps
    const bars = await page.locator('.layers td.bar i').evaluateAll(all =>
      all.map(i => [i.className, i.offsetLeft + i.offsetWidth / 2 < i.parentElement.offsetWidth / 2]))
    bars.forEach((bar, l) => assert.deepEqual(bar, want.layers[l] < 0 ? ['helps', true] : ['hurts', false]))
    if (png) await page.screenshot({path: png})
  },

  async time() {
    const page = await open(), last = await step(page)
    await page.click('#pause')
    await page.click('#back')
    await untilStep(page, last - 1)
    shows(await shown(page, 'loss'), (await view(page, `run=0&at=${last - 1}`)).loss, 'loss')
    assert.equal(await page.locator('#clock').innerText(), `step ${last - 1}`)
    await page.fill('#slider', '3')
    await untilStep(page, 3)
    await page.selectOption('#window', '0')
    await until(page, () => document.querySelector('.network .of').textContent === 'steps 0–3')
    const all = await view(page, 'run=0&at=3&window=0')
    shows((await rowsOf(page, '.layers tbody'))[0][0], all.layers[0], 'all steps, a layer')
    await page.selectOption('#class', '4')
    await until(page, () => document.querySelector('.network .of').textContent === 'steps 0–3, class 4')
    shows((await rowsOf(page, '.layers tbody'))[1][0], all.classes[4][1], 'a class')
    await page.selectOption('#layer', '1')
    await until(page, () => document.querySelectorAll('figure.heat').length === 1)
    await page.click('#forth')
    await untilStep(page, 4)
    await page.click('#pause')
    await untilStep(page, last)
    // a click on a curve goes to its step
    const box = await page.locator('.curve .u-over').first().boundingBox()
    await page.mouse.move(box.x + 2, box.y + 20)
    await page.mouse.click(box.x + 2, box.y + 20)
    await untilStep(page, 0)
  },

  async restart([ready, last]) {
    const page = await open()
    writeFileSync(ready, 'open')
    for (const state of ['gone', 'live', 'ended']) {
      await until(page, s => document.querySelector('.chip').dataset.state === s, state)
      writeFileSync(ready, state)
    }
    await untilStep(page, Number(last))
    // and lca-web itself
    await until(page, () => !document.getElementById('notice').hidden)
    writeFileSync(ready, 'noticed')
    await until(page, () => document.getElementById('notice').hidden)
    await untilStep(page, Number(last))
    complaints.length = 0       // a browser says when a connection breaks
  },

  async phone([png]) {
    const page = await open({viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true})
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= 360, `the page is ${wide} wide`)
    const controls = await page.locator('button, select, input, canvas[tabindex], .curve').evaluateAll(all =>
      all.filter(e => e.checkVisibility()).map(e => {
        const r = e.getBoundingClientRect()
        return {what: e.id || e.className || e.textContent, left: r.left, right: r.right, tall: r.height, tag: e.tagName}
      }))
    assert.ok(controls.length > 12)
    for (const c of controls) {
      assert.ok(c.left >= 0 && c.right <= 360, `${c.what} lies from ${c.left} to ${c.right}`)
      if (['BUTTON', 'SELECT'].includes(c.tag)) assert.ok(c.tall >= 34, `${c.what} is ${c.tall} tall`)
    }
    await page.tap('#pause')
    await until(page, () => document.getElementById('pause').getAttribute('aria-pressed') === 'true')
    await page.tap('#back')
    await untilStep(page, 6)
    if (png) await page.screenshot({path: png, fullPage: true})
  },

  async keys() {
    const page = await open(), last = await step(page), press = k => page.keyboard.press(k)
    // everything can be reached, and has a name
    const reached = new Set()
    for (let k = 0; k < 40; k++) {
      await press('Tab')
      reached.add(await page.evaluate(() => {
        const e = document.activeElement
        return e.id || e.getAttribute('aria-label')?.replace(/:.*/, '') || e.textContent
      }))
    }
    for (const what of ['back', 'pause', 'forth', 'window', 'class', 'layer', 'scale', 'theme', 'one', 'two', 'Keys',
                        'Loss change of each class and layer'])
      assert.ok(reached.has(what), `Tab does not reach ${what}: ${[...reached]}`)
    const tree = await page.locator('body').ariaSnapshot()
    for (const name of ['button "One step back"', 'button "Pause"', 'button "One step on"', 'slider "Step shown"',
                        'combobox "Sum over"', 'combobox "Class"', 'combobox "Layer"', 'combobox "Colours"',
                        'button "Light or dark"', 'region "run.lca"', 'img "one: ', 'img "Curve of loss, nat'])
      assert.ok(tree.includes(name), `no ${name} in\n${tree}`)
    assert.ok(!/(button|combobox|slider|img)(:| *$)/m.test(tree), `something has no name in\n${tree}`)
    await page.evaluate(() => document.activeElement.blur())
    await press('ArrowLeft')
    await untilStep(page, last - 1)
    await press('Home')
    await untilStep(page, 0)
    await press('End')
    await untilStep(page, last)
    await press('Shift+ArrowLeft')
    await untilStep(page, Math.max(0, last - 10))
    await press('Space')
    await untilStep(page, last)
    await press('w')
    assert.equal(await page.inputValue('#window'), '100')
    await press('c')
    assert.equal(await page.inputValue('#class'), '0')
    await press('Shift+C')
    assert.equal(await page.inputValue('#class'), '-1')
    await press('l')
    await until(page, () => document.querySelectorAll('figure.heat').length === 1)
    await press('Escape')
    await until(page, () => document.querySelectorAll('figure.heat').length === 2)
    await page.locator('figure.heat canvas').nth(1).focus()
    await press('ArrowRight')
    await press('ArrowDown')
    assert.match(await page.locator('p.cell').innerText(), /^two, input 1, output 0: -?[0-9.]+e[-+][0-9]+ nat$/)
    for (let k = 0; k < 6; k++) await press('ArrowDown')
    assert.match(await page.locator('p.cell').innerText(), /^two bias, output 0: /)
    await press('Enter')
    await until(page, () => document.querySelectorAll('figure.heat').length === 1)
  },

  async closed() {
    const page = await open()
    await page.click('#theme')
    await page.click('#pause')
    await page.selectOption('#layer', '0')
    await page.waitForTimeout(300)
    assert.deepEqual(complaints, [])
    assert.deepEqual(strangers, [])
    // what a script of a stranger would do is refused, wherever it goes
    const refused = await page.evaluate(async () => {
      const seen = []
      document.addEventListener('securitypolicyviolation', e => seen.push(e.effectiveDirective))
      await fetch('http://127.0.0.2:1/').catch(() => {})
      await fetch('https://example.org/').catch(() => {})
      const inline = document.createElement('script')
      inline.textContent = 'window.ran = true'
      document.body.append(inline)
      const image = new Image()
      image.src = 'https://example.org/x.png'
      const style = document.createElement('style')
      style.textContent = 'body { color: red }'
      document.body.append(style)
      await new Promise(r => setTimeout(r, 200))
      return {seen: [...new Set(seen)].sort(), ran: window.ran === true}
    })
    assert.deepEqual(refused, {seen: ['connect-src', 'img-src', 'script-src-elem', 'style-src-elem'], ran: false})
    assert.deepEqual(strangers, [])
    complaints.length = 0
  },

  async fast([most]) {
    const times = []
    for (let k = 0; k < 5; k++) {
      const page = await open()
      times.push(await page.evaluate(() => performance.getEntriesByName('first-picture')[0].startTime))
      await page.close()
    }
    times.sort((a, b) => a - b)
    console.log(`first picture after ${times.map(t => t.toFixed(0)).join(', ')} ms`)
    assert.ok(times[0] < Number(most))
  },

  // What helps and what hurts can be told apart without red or green cones, and text be read.
  async colours() {
    const machado = {
      protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
      deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    }
    const linear = c => c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    const times = (m, v) => m.map(r => r.reduce((a, x, k) => a + x * v[k], 0))
    const lab = c => {
      const f = t => t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116
      const [x, y, z] = times([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
                              c.map(v => Math.min(1, Math.max(0, v))))
      return [116 * f(y) - 16, 500 * (f(x / 0.9505) - f(y)), 200 * (f(y) - f(z / 1.089))]
    }
    const far = (a, b) => Math.hypot(...lab(a).map((v, k) => v - lab(b)[k]))
    const light = c => times([[0.2126, 0.7152, 0.0722]], linear(c))[0]
    const hex = t => [1, 3, 5].map(k => parseInt(t.slice(k, k + 2), 16))
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({colorScheme})
      const pixels = await page.locator('.legend canvas').evaluate(c => {
        const d = c.getContext('2d').getImageData(0, 0, c.width, 1).data, n = c.width
        return [0.35, 0.65, 1].map(t => [0, 1].map(s => {
          const k = Math.round((n - 1) / 2 * (1 + (s ? t : -t)))
          return [...d.slice(4 * k, 4 * k + 3)]
        }))
      })
      for (const [helps, hurts] of pixels)
        for (const name in machado) {
          const d = far(times(machado[name], linear(helps)), times(machado[name], linear(hurts)))
          console.log(`${colorScheme}, ${name}: ${helps} and ${hurts} are ${d.toFixed(0)} apart`)
          assert.ok(d > 12, `${colorScheme}, ${name}: ${helps} and ${hurts} are ${d} apart`)
        }
      const text = await page.evaluate(() => {
        const s = getComputedStyle(document.documentElement), v = n => s.getPropertyValue(n).trim()
        return [v('--card'), ...['--ink', '--text', '--quiet-text', '--helps-text', '--hurts-text'].map(v)]
      })
      for (const c of text.slice(1)) {
        const [a, b] = [light(hex(c)), light(hex(text[0]))].sort((x, y) => y - x)
        const contrast = (a + 0.05) / (b + 0.05)
        assert.ok(contrast >= 4.5, `${colorScheme}: ${c} on ${text[0]} has a contrast of ${contrast}`)
      }
      await page.close()
    }
  },

  // A stream that does not end: the page's memory after a tenth of the steps, and at the end.
  async memory([steps, every]) {
    const page = await open(), client = await page.context().newCDPSession(page)
    const heap = async () => {
      await client.send('HeapProfiler.collectGarbage')
      const {usedSize} = await client.send('Runtime.getHeapUsage')
      return usedSize
    }
    for (const part of [0.1, 0.25, 0.5, 0.75, 1]) {
      await page.waitForFunction(t => parseInt(document.querySelector('dd[data-of=step]').textContent, 10) >= t,
                                 Math.floor(part * Number(steps)) - 1, {timeout: 900000})
      const nodes = await page.evaluate(() => document.querySelectorAll('*').length)
      console.log(JSON.stringify({part, heap: await heap(), nodes}))
      writeFileSync(every, String(part))
    }
  },
}

mkdirSync(results, {recursive: true})
for (const want of wanted) {
  const [name, list] = want.split('=')
  let said = 'ok'
  try {
    await scenarios[name](list?.split(',') ?? [])
    assert.deepEqual(strangers, [], 'requests left this machine')
    assert.deepEqual(complaints, [], 'the browser complained')
  } catch (error) {
    said = error.stack
  }
  writeFileSync(`${results}/${name}`, said + '\n')
  strangers.length = complaints.length = 0
  for (const context of browser.contexts()) await context.close()
}
await browser.close()
