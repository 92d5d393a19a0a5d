import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { collect } from '../../src/testing/store-conformance/test-run.ts'
import { nodeScript } from '../node-script.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { openAt, type StoreAt } from './opened.ts'
import type { Share } from './sharer.ts'

const script = nodeScript(new URL('./sharer.ts', import.meta.url))
const living = new Set<Sharer>()
afterEach(() => Promise.all([...living].map(sharer => sharer.kill())))

/** A process that has the run open. */
class Sharer {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #gone: Promise<unknown>

  constructor(share: Share) {
    this.#child = spawn(process.execPath, [script, JSON.stringify(share)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#gone = once(this.#child, 'exit')
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
    living.add(this)
  }

  /** Tells it to do something. */
  does(line: string): void {
    this.#child.stdin!.write(`${line}\n`)
  }

  /** The next thing that it says: `undefined` after the last. */
  async says(): Promise<string | undefined> {
    return (await this.#lines.next()).value as string | undefined
  }

  /** Lets it end in order. */
  async end(): Promise<void> {
    this.#child.stdin!.end()
    expect(await this.says()).toBeUndefined()
    await this.#gone
    living.delete(this)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
    living.delete(this)
  }
}

/** One process works on something; another one opens the run. */
async function both(place: StoreAt, crash: Share['crash'], speed: number) {
  const one = new Sharer({ ...place, crash, speed })
  expect(await one.says()).toBe('open')
  one.does('apply WORK')
  expect([await one.says(), await one.says()].sort()).toEqual(['applied', 'started 1'])
  const other = new Sharer({ ...place, crash, speed })
  expect(await other.says()).toBe('open')
  // It writes, and starts nothing, and ends nothing.
  other.does('apply PING')
  expect(await other.says()).toBe('applied')
  return { one, other }
}

/** What is recorded: the origin of each unit, and what nobody is to go on with any more. */
async function recorded(place: StoreAt): Promise<unknown> {
  const store = openAt(place)
  try {
    const [head] = await collect(store.list())
    const units = await collect(store.read(head!.run))
    const { process, owners, attempts } = head!.beside
    return [units.map(({ origin }) => origin.kind), { process, owners: { ...owners }, attempts: { ...attempts } }]
  } finally {
    await store.close()
  }
}

const nothing = { process: null, owners: {}, attempts: {} }
let places = 0

function sharing(at: () => Omit<StoreAt, 'place'>): void {
  const place = (): StoreAt => ({ ...at(), place: `shared${places++}` })

  test('what one has in flight, another one leaves alone; its outcome is recorded', async () => {
    const here = place()
    const { one, other } = await both(here, 'at-most-once', 1)
    one.does('finish')
    expect(await one.says()).toBe('told done')
    other.does('apply PING')
    expect([await other.says(), await other.says()].sort()).toEqual(['applied', 'told done'])
    await Promise.all([one.end(), other.end()])
    expect(await recorded(here)).toEqual([['outside', 'outside', 'outside', 'effect', 'outside'], nothing])
  })

  test.each([
    ['retry', 'started 2'],
    ['at-most-once', 'told interrupted'],
  ] as const)('%s: what one had in flight when it was killed, the other one goes on with', async (crash, said) => {
    const here = place()
    const { one, other } = await both(here, crash, 6)
    await one.kill()
    expect(await other.says()).toBe(said)
    if (crash === 'retry') {
      other.does('finish')
      expect(await other.says()).toBe('told done')
    }
    await other.end()
    expect(await recorded(here)).toEqual([['outside', 'outside', 'outside', 'effect'], nothing])
  })
}

describe.skipIf(!hasPostgres())('processes that have one run of a PostgreSQL store open', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())
  sharing(() => ({ kind: 'postgres', url: server.url() }))
})

describe.skipIf(!hasValkey())('processes that have one run of a Valkey store open', () => {
  let server: ValkeyServer
  beforeAll(async () => {
    server = await ValkeyServer.start()
  })
  afterAll(() => server.stop())
  sharing(() => ({ kind: 'valkey', url: server.url }))
})
