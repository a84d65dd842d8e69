// Numbers as text. What is shown are the leading digits of what lca-tap prints.

const none = '–'

// Four digits that count: 0.3451, -3.864e-3.
export function nat(v) {
  if (v === null || v === undefined) return none
  if (v === 0) return '0'
  const size = Math.abs(v)
  return size >= 1e-3 && size < 1e5 ? v.toPrecision(4) : v.toExponential(3)
}

export function percent(v) {
  return v === null || v === undefined ? none : v.toFixed(2)
}

export function rate(v) {
  if (v === null || v === undefined) return none
  return v >= 100 ? v.toFixed(0) : v.toPrecision(3)
}

export function count(v) {
  return v.toLocaleString('en').replaceAll(',', '\u202f')
}

// Two digits, for the value of a cell, which has travelled as 16 bits.
export function cell(v) {
  return v === 0 ? '0' : v.toExponential(1)
}

// The power of ten, a multiple of three, by which all of `values` have few digits.
export function power(values) {
  const most = values.reduce((a, v) => Math.max(a, Math.abs(v)), 0)
  return most > 0 ? 3 * Math.floor(Math.log10(most) / 3) : 0
}

const raised = {'-': '⁻', 0: '⁰', 1: '¹', 2: '²', 3: '³', 4: '⁴', 5: '⁵', 6: '⁶', 7: '⁷', 8: '⁸', 9: '⁹'}

export function unit(p) {
  return p === 0 ? 'nat' : '10' + [...String(p)].map(c => raised[c]).join('') + ' nat'
}

// "inputs 13-25", "output 4"
export function stretch(name, from, to) {
  return from === to ? `${name} ${from}` : `${name}s ${from}–${to}`
}
