import { expect, test } from 'vitest'
import { WakeUps } from '../../../src/actors/run/timers.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'

/** Says at which times it was woken. */
function sleeper(time: VirtualEnvironment) {
  const woken: number[] = []
  return { woken, wake: () => void woken.push(time.now()) }
}

test('a run that arms its timer again and again takes the room of one', async () => {
  const time = new VirtualEnvironment()
  const wakeUps = new WakeUps(time)
  const [restless, patient] = [sleeper(time), sleeper(time)]
  const start = time.now()
  wakeUps.set(patient, start + 50_000)
  for (let i = 0; i < 10_000; i++) {
    // To and fro, so that entries of a time that it had before are there, too.
    wakeUps.set(restless, start + 60_000 + (i % 2) * 1000)
    expect(wakeUps.entries).toBeLessThan(100)
  }
  await time.advance(70_000)
  expect([restless.woken, patient.woken]).toEqual([[start + 61_000], [start + 50_000]])
  expect([wakeUps.entries, time.timers]).toEqual([0, 0])
})

test('those that are forgotten take no room', () => {
  const time = new VirtualEnvironment()
  const wakeUps = new WakeUps(time)
  const all = Array.from({ length: 10_000 }, () => sleeper(time))
  for (const [i, one] of all.entries()) wakeUps.set(one, time.now() + ((i * 7919) % 10_000))
  for (const one of all.slice(1)) wakeUps.set(one, undefined)
  expect(wakeUps.entries).toBeLessThan(100)
  wakeUps.set(all[0]!, undefined)
  expect(time.timers).toBe(0)
})
