import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { beforeAll, describe, expect, test } from 'vitest'
import { succeed } from './command.ts'
import { type Node, newestNode, thisNode } from './node.ts'
import { type Packed, packed, root } from './packed.ts'
import { filesOf, place } from './program.ts'

const newest = await newestNode()
const nodes: readonly Node[] = 'path' in newest ? [thisNode, newest] : [thisNode]

let pack: Packed
beforeAll(async () => {
  pack = await packed()
  place(join(pack.folder, 'examples'), filesOf(join(root, 'examples')))
}, 600_000)

describe.each(nodes)('on $name, with the packed package, the example', ({ path, typescript }) => {
  const folder = (name: string): string => join(pack.folder, 'examples', name)
  const main = `main.${typescript ? 'ts' : 'js'}`

  test('counter prints the state after three events, and ends by itself', async () => {
    const printed = await succeed(path, [main], { cwd: folder('counter') })
    expect(printed).toMatch(/runId: '[0-9a-f]{40}'/)
    expect(printed).toMatch(/seq: 3,/)
    expect(printed).toMatch(/value: 'counting',\s+context: \{ count: 8 \}/)
  }, 300_000)

  test('rxjs merges what two runs emit', async () => {
    expect(await succeed(path, [main], { cwd: folder('rxjs') })).toBe(
      [
        'kitchen: heating at 17° (unit 1)',
        'cellar: heating at 11° (unit 1)',
        'kitchen: resting at 22° (unit 3)',
        'both runs are closed\n',
      ].join('\n'),
    )
  }, 300_000)

  test('transfer loses no money while it is killed', async () => {
    const printed = await succeed(path, [main, '5'], { cwd: folder('transfer') })
    expect(printed).toMatch(/^\d+ kills in 5 s; the driver then ended by itself with 0\n/)
    expect(printed).toMatch(/\d+ transfers: .*\d+ done/)
    expect(printed).toMatch(/money: 1000 before, 1000 after\nall is well\n$/)
  }, 300_000)

  test('in-an-app keeps orders over a restart, and ends gracefully', async () => {
    const orders = mkdtempSync(join(tmpdir(), 'xmachines-orders-'))
    const start = () => App.start(path, main, { cwd: folder('in-an-app'), orders })
    try {
      const first = await start()
      expect(await first.post('o-1', { type: 'ADD', sku: 'tea', price: 4 })).toMatchObject([200, { ok: true, seq: 1 }])
      expect(
        await first.post('o-1', [{ type: 'ADD', sku: 'jam', price: 5 }, { type: 'PLACE' }], 'place-1'),
      ).toMatchObject([200, { ok: true, seq: 2, outputs: [{ type: 'PLACED', total: 9 }] }])
      expect(await first.post('o-1', { type: 'ADD', sku: 'tea', price: '4' })).toMatchObject([
        422,
        { retryable: false },
      ])
      expect(await first.post('o-1', { type: 'PLACE' })).toMatchObject([409, { code: 'EVENT_UNHANDLED' }])
      expect(await first.post('o-1', '{', undefined)).toMatchObject([400, {}])
      expect(await first.get('o-2')).toMatchObject([404, { code: 'RUN_UNKNOWN' }])
      // Requests that overlap meet one run: each is applied once, in some order.
      const adds = await Promise.all(
        Array.from({ length: 20 }, () => first.post('o-3', { type: 'ADD', sku: 'tea', price: 1 })),
      )
      expect(adds.map(([status]) => status)).toEqual(Array.from({ length: 20 }, () => 200))
      expect(await first.stop()).toBe(0)

      const second = await start()
      expect(await second.get('o-1')).toMatchObject([200, { value: 'placed', context: { parcel: null } }])
      expect(await second.post('o-1', [{ type: 'PLACE' }], 'place-1')).toMatchObject([200, { seq: 2, duplicate: true }])
      const [, { context }] = (await second.get('o-3')) as [number, { context: { lines: unknown[] } }]
      expect(context.lines).toHaveLength(20)
      expect(await second.history('o-1')).toMatchObject([
        { seq: 0, events: [] },
        { seq: 1, events: [{ type: 'ADD' }] },
        { seq: 2, events: [{ type: 'ADD' }, { type: 'PLACE' }], outputs: [{ type: 'PLACED' }] },
      ])
      expect(await second.stop()).toBe(0)
    } finally {
      rmSync(orders, { recursive: true, force: true })
    }
  }, 300_000)
})

/** The server of the example, as a process of its own. */
class App {
  readonly #url: string
  readonly #stop: () => Promise<number | null>

  private constructor(url: string, stop: () => Promise<number | null>) {
    this.#url = url
    this.#stop = stop
  }

  static async start(node: string, main: string, { cwd, orders }: { cwd: string; orders: string }): Promise<App> {
    const child = spawn(node, [main], {
      cwd,
      env: { ...process.env, ORDERS: orders },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [url] = (await once(createInterface(child.stdout), 'line')) as [string]
    return new App(url, async () => {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = (await exit) as [number | null]
      return code
    })
  }

  async post(id: string, body: unknown, idempotencyKey?: string): Promise<[number, unknown]> {
    const response = await fetch(`${this.#url}/${id}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
    })
    return [response.status, await response.json()]
  }

  async get(id: string): Promise<[number, unknown]> {
    const response = await fetch(`${this.#url}/${id}`)
    return [response.status, await response.json()]
  }

  async history(id: string): Promise<unknown[]> {
    const text = await (await fetch(`${this.#url}/${id}/history`)).text()
    return text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown)
  }

  stop(): Promise<number | null> {
    return this.#stop()
  }
}
