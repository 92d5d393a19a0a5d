import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, vi } from 'vitest'

/** The counter, as a machine option. */
export const counter = 'test/cli/machines/counter.ts'

/** A folder of a test file, gone at its end. */
export class Workspace {
  readonly dir = mkdtempSync(join(tmpdir(), 'xmachines-cli-'))
  #count = 0

  constructor() {
    // Every command is a process of its own.
    vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })
    afterAll(() => rmSync(this.dir, { recursive: true, force: true }))
  }

  /** A path that nothing is at. */
  path(name: string): string {
    return join(this.dir, `${++this.#count}-${name}`)
  }

  /** A file of lines. */
  log(lines: readonly (string | object)[], name = 'log.ndjson'): string {
    const path = this.path(name)
    writeFileSync(path, textOf(lines))
    return path
  }

  /** A copy of a store, to be changed. */
  copy(store: string): string {
    const path = this.path('copy')
    cpSync(store, path, { recursive: true })
    return path
  }
}

/** Lines as NDJSON. */
export function textOf(lines: readonly (string | object)[]): string {
  return lines.map(line => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')
}

/** A log of the counter: `length` lines over `keys` keys, with pauses in which some of them rest. */
export function counterLog(
  length: number,
  keys: number,
): readonly { readonly key: string; readonly at: number; readonly event: object }[] {
  return Array.from({ length }, (_, index) => {
    const event = index % 7 === 3 ? { type: 'DRAW' } : { type: 'ADD', by: index % 5 }
    return { key: `k${(Math.imul(index, 2_654_435_761) >>> 16) % keys}`, at: 1_000_000 + index * 9_000, event }
  })
}
