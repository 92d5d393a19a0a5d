import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { ended, jsonLines, start, startIn, xmachines } from './command.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
/** XM_LONG=1: a million lines. The short log is over within a few flushes, so that some of the kills come too late. */
const { length, turns, leastKills, timeout } =
  process.env.XM_LONG === '1'
    ? { length: 1_000_000, turns: 10, leastKills: 10, timeout: 1_800_000 }
    : { length: 12_000, turns: 6, leastKills: 3, timeout: 180_000 }

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
  // As in production: deciding everything twice is not what this is about.
  const production = { NODE_ENV: 'production' }
  const child = startIn(production, 'run', log, '--machine', counter, '--store', store, '--topic', 'long', '--json')
  child.stdin!.end()
  return { child, ended: ended(child) }
}

/** The most memory that a process held until it ended, in MiB; only Linux tells. */
async function peakOf(child: ChildProcess, over: Promise<unknown>): Promise<number> {
  let peak = 0
  let done = false
  void over.then(() => {
    done = true
  })
  while (!done) {
    try {
      const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
      peak = Math.max(peak, Number(kilobytes ?? 0) / 1024)
    } catch {
      // It has ended, or there is no such file here.
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return peak
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

/** A digest of what must not depend on how often it was interrupted. */
async function historyOf(store: string): Promise<string> {
  const hash = createHash('sha256')
  const child = start('export', store)
  let units = 0
  for await (const line of createInterface({ input: child.stdout! })) {
    const { run, seq, id, at, events } = JSON.parse(line)
    if (seq === undefined) continue
    hash.update(`${JSON.stringify({ run, seq, id, at, events })}\n`)
    units++
  }
  return `${units} units, ${hash.digest('hex')}`
}

describe(
  'a run that is interrupted',
  () => {
    it('ends in the same histories, whether by SIGINT, by SIGKILL at any point, or not at all', async () => {
      const log = await longLog()
      const undisturbed = space.path('undisturbed')
      const began = performance.now()
      const alone = run(log, undisturbed)
      const peak = await peakOf(alone.child, alone.ended)
      const whole = await alone.ended
      expect(whole).toMatchObject({ code: 0 })
      const size = written(undisturbed)
      console.log(
        `${length} lines in ${Math.round(performance.now() - began)} ms, at most ${Math.round(peak)} MiB, ${size} bytes`,
      )
      expect(peak).toBeLessThan(600)
      expect(jsonLines(whole.stdout)).toMatchObject([{ events: length, duplicates: 0, refused: 0, interrupted: false }])

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
      for (let turn = 0; turn < turns; turn++) {
        const next = run(log, disturbed)
        await progress(disturbed, Math.random() * (size / 14), next.ended)
        next.child.kill('SIGKILL')
        if ((await next.ended).signal === 'SIGKILL') kills++
      }
      expect(kills).toBeGreaterThanOrEqual(leastKills)
      const last = await run(log, disturbed).ended
      expect(last).toMatchObject({ code: 0 })
      expect(await historyOf(disturbed)).toBe(await historyOf(undisturbed))
      expect(await xmachines('verify', disturbed, '--machine', counter)).toMatchObject({ code: 0 })
    })

    it('ends though its input stays open, and has applied what came', async () => {
      const store = space.path('store')
      const child = start('run', '-', '--machine', counter, '--store', store, '--json')
      const end = ended(child)
      child.stdin!.write('{"key":"a","event":{"type":"ADD","by":1}}\n')
      await progress(store, 1500, end)
      child.kill('SIGINT')
      const { code, stdout } = await end
      expect(code).toBe(130)
      expect(jsonLines(stdout)).toMatchObject([{ runs: 1, events: 1, interrupted: true }])
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
