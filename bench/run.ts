import { apply } from './apply.ts'
import { durable, replayed } from './durable.ts'

const benches = { apply, replay: replayed, durable }

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(name in benches))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}.`)
  process.exit(2)
}
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(JSON.stringify({ bench: name, node: process.version, results: await bench() }))
}
