import { describe, expect, it } from 'vitest'
import { XMachinesError } from 'xmachines'
import type { CopyReport } from '../../src/actors/copy/copy-store.ts'
import { follow } from '../../src/cli/follow.ts'

/** Passes that find so many new units, one after another. */
function passes(found: readonly number[], failed: CopyReport['failed'] = []) {
  const made: string[] = []
  const pass = async (source: 'leave' | 'fence'): Promise<CopyReport> => {
    const units = found[made.push(source) - 1]
    if (units === undefined) throw new Error('There is no end of it.')
    return { runs: 1, unchanged: 0, units, failed }
  }
  return { made, pass }
}

const { signal } = new AbortController()

describe('a copy that follows', () => {
  it.each([
    ['a source that rests', [5, 0], 1],
    ['a load that the copy overtakes', [1_000_000, 50_000, 700, 90, 10], 4],
    ['a steady load of thousands a pass', [1_000_000, 50_000, 4000, 3900, 3900], 4],
    ['a load that it cannot keep up with', [1000, 2000, 2000], 2],
  ])('fences %s', async (_, found, before) => {
    const { made, pass } = passes(found)
    const report = await follow({ pass, fences: true, signal })
    expect(made).toEqual([...Array.from({ length: before }, () => 'leave'), 'fence'])
    expect(report).toMatchObject({ fenced: true, units: found.reduce((sum, units) => sum + units) })
  })

  it('fences nothing while runs cannot be copied', async () => {
    const { made, pass } = passes([3], [{ run: 'r', error: new XMachinesError('IMPORT_DIFFERS', 'It differs.') }])
    expect(await follow({ pass, fences: true, signal })).toMatchObject({ fenced: false, units: 3 })
    expect(made).toEqual(['leave'])
  })

  it('tells how far it was where a pass is interrupted', async () => {
    const stop = new AbortController()
    const { pass } = passes([3, 4])
    const interrupted = async (source: 'leave' | 'fence'): Promise<CopyReport> => {
      const report = await pass(source)
      if (report.units === 3) return report
      stop.abort()
      throw new XMachinesError('ABORTED', 'The copy was aborted.')
    }
    const report = await follow({ pass: interrupted, fences: false, signal: stop.signal })
    expect(report).toMatchObject({ runs: 1, units: 3, fenced: false })
  })
})
