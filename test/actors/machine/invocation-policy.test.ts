import { describe, expect, test } from 'vitest'
import { createRun, defineMachine } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createMachine, fromPromise, fromTransition, setup } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess } from '../supervisor/world.ts'

const forever = fromPromise(() => new Promise<never>(() => {}))
const inner = setup({ actors: { ship: forever } }).createMachine({ id: 'inner', invoke: { src: 'ship', id: 'parcel' } })
const order = setup({
  actors: { charge: forever, kid: inner, quiet: fromTransition(() => 0, 0) },
}).createMachine({ id: 'order', invoke: { src: 'kid', id: 'kid' } })

/** What `defineMachine` says to a policy. */
function refusal(invocations: unknown, machine: unknown = order): unknown {
  try {
    defineMachine(machine as typeof order, { invocations } as never)
    return undefined
  } catch (thrown) {
    return thrown
  }
}

describe('a policy', () => {
  test.each([
    ['no map', 'charge'],
    ['an array', ['retry']],
    ['a wrong word', { charge: 'never' }],
    ['null', { charge: null }],
    ['a wrong `crash`', { charge: { crash: 'never' } }],
    ['an unknown option', { charge: { retries: 3 } }],
    ['no attempts', { charge: { attempts: 0 } }],
    ['half an attempt', { charge: { attempts: 1.5 } }],
    ['several attempts at most once', { charge: { crash: 'at-most-once', attempts: 2 } }],
    ['no time', { charge: { timeout: 0 } }],
    ['endless time', { charge: { timeout: Number.POSITIVE_INFINITY } }],
    ['time in words', { charge: { timeout: '1s' } }],
    ['no concurrency', { charge: { concurrency: 0 } }],
    ['a backoff that is none', { charge: { backoff: 100 } }],
    ['a backoff of unknown shape', { charge: { backoff: { base: 100 } } }],
    ['a backoff that shrinks', { charge: { backoff: { factor: 0.5 } } }],
    ['a backoff of no time', { charge: { backoff: { initial: -1 } } }],
    ['a name that is not there', { chrage: 'retry' }],
    ['a name of logic that runs inside the step', { quiet: 'retry' }],
    ['a name of a machine', { kid: 'retry' }],
    ['a name that every object has', { toString: 'retry' }],
  ])('%s is refused', (_what, invocations) => {
    expect(refusal(invocations)).toMatchObject({ code: 'POLICY_INVALID' })
  })

  test('that names nothing is answered with the names that there are', () => {
    expect(String(refusal({ chrage: 'retry' }))).toContain('There are: charge, ship.')
    expect(String(refusal({ any: 'retry' }, createMachine({ id: 'bare' })))).toContain('There is none.')
  })

  test('may be left undefined', () => {
    expect(refusal({ charge: undefined })).toBeUndefined()
    expect(refusal(undefined)).toBeUndefined()
  })

  test('is no part of the identity', async () => {
    const plain = createRun(order, { key: 'a' })
    const declared = createRun(defineMachine(order, { invocations: { charge: 'at-most-once' } }), { key: 'a' })
    expect(declared.id).toBe(plain.id)
    await Promise.all([plain.close({ timeout: 0 }), declared.close({ timeout: 0 })])
  })

  test.each([
    ['registered', order],
    ['inline', createMachine({ id: 'outer', invoke: { src: inner, id: 'kid' } })],
  ])('holds for the invocations of child machines: %s', async (_how, machine) => {
    const store = memoryStore()
    const time = new VirtualEnvironment()
    const declared = defineMachine(machine as typeof order, { invocations: { ship: 'error' } })
    const first = await openRunIn(time, declared, { store, key: 'a' })
    expect((await store.head(first.id))!.beside.attempts).toEqual({ [`${first.id}/0/kid/parcel`]: 1 })
    await store.renew(time.process, 0)
    const second = await openRunIn(time.fork('second'), declared, { store: otherProcess(store), key: 'a' })
    second.done.catch(() => {})
    await settled()
    expect((await store.head(first.id))!.status).toBe('error')
  })

  test('a machine may be its own child', () => {
    const actors: Record<string, unknown> = { charge: forever }
    const machine = createMachine({ id: 'loop' }).provide({ actors: actors as never })
    actors.again = machine
    Object.assign(machine.implementations.actors, actors)
    expect(refusal({ charge: 'retry' }, machine)).toBeUndefined()
  })
})
