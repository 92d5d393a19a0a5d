import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Session } from 'node:inspector/promises'
import { writeFileSync } from 'node:fs'
import { gitStore } from 'xmachines/persistence/git'
import { TestRun } from '../src/testing/store-conformance/test-run.ts'
const dir = mkdtempSync(join(tmpdir(), 'xm-growth-'))
const open = () => gitStore({ gitdir: join(dir, 'store') })
let store = open()
const follow = (run: any, o: any) => { if (o.status !== 'appended') throw new Error(o.status); run.seq = o.seq; run.revision = o.revision }
async function create(from: number, count: number) {
  const runs = Array.from({ length: count }, (_, n) => new TestRun('sha1', { key: `run ${from + n}` }))
  const out = await store.append(runs.map(r => r.creates({}, 5)))
  out.forEach((o, i) => follow(runs[i], o))
  return runs
}
const few = await create(0, 1000)
const most = Number(process.argv[2] ?? 30000)
async function measure(name: string) {
  const session = new Session(); session.connect()
  await session.post('Profiler.enable'); await session.post('Profiler.start')
  const times: number[] = []
  for (let i = 0; i < 8; i++) {
    const items = few.map(r => r.goesOn())
    const t = performance.now()
    const out = await store.append(items)
    times.push(performance.now() - t)
    out.forEach((o, k) => follow(few[k], o))
  }
  writeFileSync(`/tmp/g-append-${name}.cpuprofile`, JSON.stringify((await session.post('Profiler.stop')).profile))
  console.log(name, 'append', times.map(t => t.toFixed(1)).join(' '))
  const opens: string[] = []
  await store.close()
  await session.post('Profiler.start')
  for (let i = 0; i < 5; i++) {
    const t = performance.now()
    store = open()
    await store.head(few[0]!.id)
    const o = performance.now() - t
    const c = performance.now()
    await store.close()
    opens.push(`${o.toFixed(1)}/${(performance.now() - c).toFixed(1)}`)
  }
  writeFileSync(`/tmp/g-open-${name}.cpuprofile`, JSON.stringify((await session.post('Profiler.stop')).profile))
  store = open(); await store.head(few[0]!.id)
  console.log(name, 'open/close', opens.join(' '))
}
await measure('small')
const began = performance.now()
for (let n = 1000; n < most; n += 1000) await create(n, 1000)
console.log('create', ((performance.now() - began) / 1000).toFixed(1), 's')
await measure('large')
await store.close()
