import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { ended, jsonLines } from './command.ts'

describe('the demo', () => {
  it('loses nothing and applies nothing twice, though it is killed twice', async () => {
    const child = spawn(process.execPath, ['--import', 'jiti/register', 'scripts/demo.ts', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { code, stdout, stderr } = await ended(child)
    expect(code, stderr).toBe(0)
    const line = jsonLines(stdout).at(-1)
    expect(line).toMatchObject({ runs: 1434, events: 8577, duplicatesApplied: 0, lost: 0, verified: 1434, kills: 2 })
    expect(line!.recognised).toBeGreaterThan(0)
  }, 120_000)
})
