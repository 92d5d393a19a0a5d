import { describe, expect, it } from 'vitest'
import { loadMachines } from '../../src/cli/load-machine.ts'
import { xmachines } from './command.ts'

const dir = 'test/cli/machines'

/** What is said of a reference that is none. */
async function refusal(...references: readonly string[]): Promise<string> {
  return loadMachines(references).then(
    () => 'loaded',
    error => `${error.code}: ${error.message}`,
  )
}

/** The ids of what is loaded. */
async function ids(...references: readonly string[]): Promise<readonly string[]> {
  const machines = (await loadMachines(references)) as unknown as readonly { readonly id: string }[]
  return machines.map(({ id }) => id)
}

describe('the machine of --machine', () => {
  it('is the only one, the default one, or the one that is named, of TypeScript and JavaScript', async () => {
    expect(await ids(`${dir}/counter.ts`)).toEqual(['counter'])
    expect(await ids(`${dir}/plain.mjs`)).toEqual(['plain'])
    expect(await ids(`${dir}/plain.mjs#other`)).toEqual(['other'])
    expect(await ids(`${dir}/several.ts#second`)).toEqual(['second'])
    expect(await ids('examples/permits/machine.ts')).toEqual(['permit'])
  })

  it('may be several, the first for new runs', async () => {
    expect(await ids(`${dir}/several.ts#second`, `${dir}/counter.ts`)).toEqual(['second', 'counter'])
  })

  it('names what was found instead', async () => {
    expect(await refusal(`${dir}/several.ts`)).toBe(
      `MODULE_INVALID: ${dir}/several.ts exports several machines. Name one: ${dir}/several.ts#first, ${dir}/several.ts#second.`,
    )
    expect(await refusal(`${dir}/several.ts#third`)).toMatch(
      /MODULE_INVALID: .* has no export 'third'\. It exports answer \(a number\), first \(a machine\), second \(a machine\)\./,
    )
    expect(await refusal(`${dir}/several.ts#answer`)).toMatch(/exports 'answer', which is a number and no machine\./)
    expect(await refusal(`${dir}/none.ts`)).toMatch(
      /MODULE_INVALID: .* exports no machine\. It exports answer \(a number\), names \(an array\)\./,
    )
    expect(await refusal(`${dir}/broken.ts`)).toMatch(
      /MODULE_INVALID: .*broken.ts could not be loaded: cannot be loaded/,
    )
    expect(await refusal(`${dir}/nowhere.ts`)).toMatch(/MODULE_INVALID: .*nowhere.ts is not a file/)
    expect(await refusal(dir)).toMatch(/MODULE_INVALID: .* is not a file/)
  })

  it('does not come where its module waits for ever: that is said', async () => {
    const { code, stderr } = await xmachines('replay', '-', '--machine', `${dir}/stuck.ts`)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^MODULE_INVALID: .*stuck\.ts .* at its top level never/)])
  })
})
