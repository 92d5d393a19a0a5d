import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NewUnit } from '../../../src/actors/contracts/unit.ts'
import { unitChain, unitId } from '../../../src/actors/identity/index.ts'

const run = 'a'.repeat(40)
const machine = 'b'.repeat(40)
const newer = 'c'.repeat(40)

function unitOf(seq: number, more: Partial<NewUnit> = {}): NewUnit {
  return { seq, at: seq * 10, events: [{ type: 'ADD', seq }], origin: { kind: 'outside' }, outputs: [], ...more }
}

describe('a chain of ids', () => {
  test('starts at the run, whose creation gives its time to the first unit alone', () => {
    const chain = unitChain('sha1', { id: run, machine, created: 5 })
    const first = unitId('sha1', { parent: run, machine, unit: unitOf(1), created: 5 })
    const second = unitId('sha1', { parent: first, machine, unit: unitOf(2) })
    expect(chain.id).toBe(run)
    expect(chain.next(unitOf(1))).toBe(first)
    expect(chain.next(unitOf(2))).toBe(second)
    expect(chain.id).toBe(second)
  })

  test('carries the machine over a migration', () => {
    const chain = unitChain('sha1', { id: run, machine })
    const migration = unitOf(1, { events: [], origin: { kind: 'migration', from: machine }, machine: newer })
    const first = unitId('sha1', { parent: run, machine: newer, unit: migration })
    expect(chain.next(migration)).toBe(first)
    expect(chain.machine).toBe(newer)
    expect(chain.next(unitOf(2))).toBe(unitId('sha1', { parent: first, machine: newer, unit: unitOf(2) }))
  })

  test('goes on from any unit as from the start', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), fc.nat(), (migrations, cut) => {
        const units = migrations.map((migrates, index) => unitOf(index + 1, migrates ? { machine: newer } : {}))
        const whole = unitChain('sha256', { id: run, machine, created: 1 })
        const halt = cut % units.length
        for (const unit of units.slice(0, halt)) whole.next(unit)
        const rest = unitChain('sha256', {
          id: whole.id,
          machine: whole.machine,
          created: halt === 0 ? 1 : undefined,
        })
        for (const unit of units.slice(halt)) expect(rest.next(unit)).toBe(whole.next(unit))
      }),
    )
  })
})
