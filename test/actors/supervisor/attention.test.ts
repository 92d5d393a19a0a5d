import { expect, test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { Attention } from '../../../src/actors/supervisor/attention.ts'
import { settled, VirtualEnvironment } from './virtual-environment.ts'

test('a run that has mail while it goes out of memory is looked for again once it is gone, not over and over', async () => {
  const environment = new VirtualEnvironment()
  const lease = { namespace: 't', partition: 0 }
  const awake = new Set(['a'])
  const woken: string[] = []
  let looks = 0
  const memory = memoryStore()
  const store = new Proxy(memory, {
    get(target, name) {
      if (name !== 'due') return Reflect.get(target, name)
      return async () => {
        // As an endless loop would never let anything else have its turn.
        if (++looks > 100) throw new Error('It looks over and over.')
        return [{ run: 'a', namespace: 't', due: 0, lease }]
      }
    },
  })
  const stopped: unknown[] = []
  const attention = new Attention(
    { lease },
    {
      store,
      environment,
      awake,
      wake: async run => void woken.push(run),
      pause: async () => false,
      stop: error => stopped.push(error),
    },
  )
  attention.look()
  await settled()
  expect(looks).toBe(1)
  awake.delete('a')
  attention.left('a')
  await settled()
  expect(woken).toEqual(['a'])
  expect(stopped).toEqual([])
  attention.end()
})

test('whoever asks in whichever turn after a look has begun is answered by another one', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const memory = memoryStore()
    let asked = false
    const missed: string[] = []
    const store = new Proxy(memory, {
      get(target, name) {
        if (name !== 'due') return Reflect.get(target, name)
        return async () => {
          if (asked) missed.length = 0
          return []
        }
      },
    })
    const attention = new Attention(
      { namespace: 't' },
      {
        store,
        environment: new VirtualEnvironment(),
        awake: new Set<string>(),
        wake: async () => {},
        pause: async () => false,
        stop: () => {},
      },
    )
    attention.look()
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    asked = true
    missed.push(`after ${turns} turns`)
    attention.look()
    await settled()
    expect(missed).toEqual([])
    attention.end()
  }
})
