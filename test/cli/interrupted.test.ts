import { once } from 'node:events'
import { createWriteStream, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ended, jsonLines, start, xmachines } from './command.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
/** XM_LONG=1: a million lines. */
const length = process.env.XM_LONG === '1' ? 1_000_000 : 12_000
const timeout = process.env.XM_LONG === '1' ? 1_800_000 : 180_000

/** A long log, written piece by piece. */
async function longLog(): Promise<string> {
  const path = space.path('long.ndjson')
  const file = createWriteStream(path)
  for (const line of counterLog(length, Math.ceil(length / 150))) {
    if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, 'drain')
  }
  await new Promise(resolve => file.end(resolve))
  return path
}

function run(log: string, store: string) {
  const child = start('run', log, '--machine', counter, '--store', store, '--topic', 'long', '--json')
  child.stdin!.end()
  return { child, ended: ended(child) }
}

/** Bytes in the store's log. */
function written(store: string): number {
  try {
    const segments = readdirSync(store).filter(name => name.startsWith('log-'))
    return segments.reduce((sum, name) => sum + statSync(join(store, name)).size, 0)
  } catch {
    return 0 // it is still to be made
  }
}

/** Resolves when the store has so many bytes more, or the command is over. */
async function progress(store: string, bytes: number, over: Promise<unknown>): Promise<void> {
  const target = written(store) + bytes
  let done = false
  void over.then(() => {
    done = true
  })
  while (!done && written(store) < target) await new Promise(resolve => setTimeout(resolve, 5))
}

/** What must not depend on how often it was interrupted. */
async function historyOf(store: string): Promise<string> {
  const { stdout, code } = await xmachines('export', store)
  expect(code).toBe(0)
  return stdout
    .split('\n')
    .filter(line => line.includes('"seq"'))
    .map(line => {
      const { run, seq, id, at, events } = JSON.parse(line)
      return JSON.stringify({ run, seq, id, at, events })
    })
    .join('\n')
}

describe(
  'a run that is interrupted',
  () => {
    it('ends in the same histories, whether by SIGINT, by SIGKILL at any point, or not at all', async () => {
      const log = await longLog()
      const undisturbed = space.path('undisturbed')
      const whole = await run(log, undisturbed).ended
      expect(whole).toMatchObject({ code: 0 })
      expect(jsonLines(whole.stdout)).toMatchObject([{ events: length, duplicates: 0, refused: 0, interrupted: false }])
      const size = written(undisturbed)

      const disturbed = space.path('disturbed')
      const first = run(log, disturbed)
      await progress(disturbed, size / 20, first.ended)
      first.child.kill('SIGINT')
      const interrupted = await first.ended
      expect(interrupted).toMatchObject({ code: 130, signal: null })
      const [summary] = jsonLines<{ events: number }>(interrupted.stdout)
      expect(summary).toMatchObject({ interrupted: true, duplicates: 0 })
      expect(summary!.events).toBeGreaterThan(0)
      expect(summary!.events).toBeLessThan(length)

      let kills = 0
      for (let turn = 0; turn < 10; turn++) {
        const next = run(log, disturbed)
        await progress(disturbed, Math.random() * (size / 8), next.ended)
        next.child.kill('SIGKILL')
        if ((await next.ended).signal === 'SIGKILL') kills++
      }
      expect(kills).toBeGreaterThan(3)
      const last = await run(log, disturbed).ended
      expect(last).toMatchObject({ code: 0 })
      expect(await historyOf(disturbed)).toBe(await historyOf(undisturbed))
      expect(await xmachines('verify', disturbed, '--machine', counter)).toMatchObject({ code: 0 })
    })

    it('ends at once at the second signal', async () => {
      const store = space.path('store')
      const child = start('run', '-', '--machine', counter, '--store', store)
      const end = ended(child)
      child.stdin!.write('{"key":"a","event":{"type":"ADD","by":1}}\n')
      await progress(store, 300, end)
      child.kill('SIGINT')
      child.kill('SIGINT')
      expect((await end).code).toBe(130)
    })
  },
  timeout,
)
