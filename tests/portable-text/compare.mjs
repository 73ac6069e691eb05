// Compares the HTML we made of bodies with what @portabletext/to-html makes of the same blocks.
//
//   PORTABLE_TEXT_SAMPLES=$PWD/tests/portable-text/samples.json cargo test portable_text -- --ignored
//   cd tests/portable-text && npm ci && node compare.mjs samples.json
//
// The file holds [{name, body, html}]. The text blocks go through the renderer's default components; the kinds of blocks
// that it does not know are given the plainest components a front end would write.

import { readFileSync } from 'node:fs'
import { escapeHTML, toHTML } from '@portabletext/to-html'

const lines = (text) => text.split('\n').map(escapeHTML).join('<br/>')

const row = ({ cells }) => {
  const cell = ({ text, header }) => (header ? `<th>${lines(text)}</th>` : `<td>${lines(text)}</td>`)
  return `<tr>${cells.map(cell).join('')}</tr>`
}

const table = ({ value: { rows } }) => {
  const heads = rows[0].cells.every((cell) => cell.header) ? 1 : 0
  const part = (name, rows) => (rows.length ? `<${name}>${rows.map(row).join('')}</${name}>` : '')
  return `<table>${part('thead', rows.slice(0, heads))}${part('tbody', rows.slice(heads))}</table>`
}

const types = {
  figure: ({ value }) => `<figure data-caption-id="${escapeHTML(value.caption_id)}"></figure>`,
  embed: ({ value }) => {
    const url = escapeHTML(value.url)
    return `<figure data-embed-url="${url}"><a href="${url}">${url}</a></figure>`
  },
  divider: () => '<hr/>',
  table,
}

// Where two texts part, with what stands around it.
const difference = (ours, theirs) => {
  let at = 0
  while (at < ours.length && ours[at] === theirs[at]) at += 1
  const around = (text) => JSON.stringify(text.slice(Math.max(0, at - 40), at + 60))
  return `  from character ${at}\n  ours:   ${around(ours)}\n  theirs: ${around(theirs)}`
}

const file = process.argv[2]
if (!file) {
  console.error('usage: node compare.mjs samples.json')
  process.exit(2)
}
const samples = JSON.parse(readFileSync(file, 'utf8'))
if (samples.length === 0) {
  console.error(`${file} holds no samples`)
  process.exit(2)
}

let failed = 0
for (const { name, body, html } of samples) {
  const complaints = []
  const onMissingComponent = (message) => complaints.push(message)
  const expected = toHTML(body, { components: { types }, onMissingComponent })
  if (html !== expected) complaints.push(`the HTML differs\n${difference(html, expected)}`)
  if (complaints.length > 0) {
    failed += 1
    console.error(`FAILED ${name}: ${complaints.join('; ')}\n  body: ${JSON.stringify(body)}\n`)
  }
}
console.log(`${samples.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
