import { apply } from './apply.ts'
import { armed } from './armed.ts'
import { durable, replayed } from './durable.ts'
import { effects } from './effects.ts'
import { fanOut } from './fan-out.ts'
import { gitAppend, gitArchive, gitReplay } from './git.ts'
import { growth } from './growth.ts'
import { kafka } from './kafka/index.ts'
import { postgres } from './postgres.ts'
import { residency } from './residency.ts'
import { supervised } from './supervised.ts'
import { tells } from './tell.ts'
import { timers } from './timers.ts'
import { valkey } from './valkey.ts'
import { verified } from './verify.ts'

// As in production: not strictly.
process.env.NODE_ENV = 'production'

const benches = {
  apply,
  replay: replayed,
  durable,
  supervised,
  effects,
  tell: tells,
  'fan-out': fanOut,
  timers,
  armed,
  postgres,
  verify: verified,
  residency,
  'git-append': gitAppend,
  'git-archive': gitArchive,
  'git-replay': gitReplay,
  valkey,
  growth,
  kafka,
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(name in benches))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}.`)
  process.exit(2)
}
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const results = await bench()
  for (const result of results) {
    if (!('value' in result)) continue
    const verdict = result.value <= result.atMost ? 'reached' : 'short'
    console.error(
      `${result.bench.padEnd(28)} ${result.value} ${result.unit}  (at most ${result.atMost}: ${verdict})  ${result.note ?? ''}`,
    )
  }
  console.log(JSON.stringify({ bench: name, node: process.version, results }))
}
